// The app's own way to the API, against the real server.

import assert from 'node:assert/strict'
import { after, before, beforeEach, mock, test } from 'node:test'

import { accounts, banks, beginLink, completeLink, synced, transactions, written } from '../src/money'
import { Session, SignedOut } from '../src/session'
import { startDemo, type Demo } from './demo'
import { enrol } from './factor'

const RETURN_URL = 'http://127.0.0.1:5173/linked.html'

let demo: Demo
let session: Session
let ends: number

before(async () => { demo = await startDemo(RETURN_URL) })
after(() => demo?.stop())

beforeEach(async () => {
  ends = 0
  session = new Session(`${demo.url}/graphql`, () => { ends += 1 })
  assert.deepEqual(await session.signIn(demo.email, demo.password), { challenge: null, refusals: [] })
})

/** Counts the requests that `work` sends whose body holds `word`. */
async function sent(word: string, work: () => Promise<unknown>): Promise<number> {
  const fetches = mock.method(globalThis, 'fetch')
  try {
    await work()
    return fetches.mock.calls.filter(call => String(call.arguments[1]?.body).includes(word)).length
  } finally {
    fetches.mock.restore()
  }
}

test('a wrong password is refused in words, and nobody is signed in', async () => {
  const stranger = new Session(`${demo.url}/graphql`)
  const { challenge, refusals } = await stranger.signIn(demo.email, 'not the password at all')
  assert.equal(challenge, null)
  assert.equal(refusals[0]?.code, 'INVALID_CREDENTIALS')
  assert.notEqual(refusals[0]?.message, '')
  await assert.rejects(accounts(stranger), SignedOut)
})

test('a second factor is asked for, and nobody is signed in before its code', async () => {
  const { device, recoveryCodes, disable } = await enrol(demo.url, demo.email, demo.password)
  try {
    const phone = new Session(`${demo.url}/graphql`)
    const { challenge, refusals } = await phone.signIn(demo.email, demo.password)
    assert.deepEqual(refusals, [])
    assert.ok(challenge)
    await assert.rejects(accounts(phone), SignedOut)
    assert.equal((await phone.verify(challenge, '000000'))[0]?.code, 'SECOND_FACTOR_CODE_INVALID')
    await assert.rejects(accounts(phone), SignedOut)
    assert.deepEqual(await phone.verify(challenge, device.generate({ timestamp: Date.now() + 30_000 })), [])
    assert.equal((await accounts(phone)).length, 7)
    assert.equal((await phone.verify(challenge, recoveryCodes[0]!))[0]?.code, 'CHALLENGE_INVALID')

    const tablet = new Session(`${demo.url}/graphql`)
    const again = await tablet.signIn(demo.email, demo.password)
    assert.deepEqual(await tablet.verify(again.challenge ?? '', recoveryCodes[0]!), [])
    assert.equal((await accounts(tablet)).length, 7)
  } finally {
    await disable()
  }
})

test('accounts come with their balances, debts negative', async () => {
  const all = await accounts(session)
  assert.equal(all.length, 7)
  assert.ok(all.every(account => /^-?\d+\.\d{2,}$/.test(account.balances.current?.amount ?? '')))
  const card = all.find(account => account.type === 'CREDIT_CARD')
  assert.ok(card?.balances.current?.amount.startsWith('-'))
})

test('transactions page on to the end, each once and in order', async () => {
  const [account] = await accounts(session)
  assert.ok(account)
  const seen = new Map<string, string>()
  let next: string | null = null
  let pages = 0
  do {
    const page: Awaited<ReturnType<typeof transactions>> = await transactions(session, account.id, next, 40)
    page.transactions.forEach(row => seen.set(row.id, row.postedOn))
    assert.equal(page.transactions.length === 40 || page.next === null, true)
    pages += 1
    next = page.next
    assert.equal(seen.size, next === null ? seen.size : pages * 40)
  } while (next !== null)
  assert.ok(pages > 2)
  const days = [...seen.values()]
  assert.deepEqual(days, days.toSorted().reverse())
})

test('tokens are renewed once, however many requests find them old', async () => {
  session.expire()
  const renewals = await sent('Renew', () => Promise.all([accounts(session), accounts(session), banks(session)]))
  assert.equal(renewals, 1)
  assert.equal(await sent('Renew', () => accounts(session)), 0)
})

test('a session that was ended elsewhere ends here, and says so once', async () => {
  const other = await token()
  const { viewer } = await elsewhere('{ viewer { sessions(last: 2) { nodes { id isCurrent } } } }', other)
  const here = viewer.sessions.nodes.find((listed: { isCurrent: boolean }) => !listed.isCurrent)
  await elsewhere(`mutation { revokeSession(input: { sessionId: "${here.id}" }) { session { revokedAt } } }`, other)
  await assert.rejects(accounts(session), SignedOut)
  assert.equal(ends, 1)
  await assert.rejects(accounts(session), SignedOut)
  assert.equal(ends, 1)
})

test('signing out ends the session on the server', async () => {
  const fetches = mock.method(globalThis, 'fetch')
  await session.signOut()
  const headers = fetches.mock.calls[0]?.arguments[1]?.headers
  fetches.mock.restore()
  await assert.rejects(accounts(session), SignedOut)
  const answer = await fetch(`${demo.url}/graphql`, { method: 'POST', headers: headers as Record<string, string>, body: '{"query":"{ viewer { id } }"}' })
  const { data, extensions } = await answer.json() as { data: unknown; extensions: { authentication?: string } }
  assert.deepEqual([data, extensions.authentication], [{ viewer: null }, 'SESSION_ENDED'])
})

test('a bank is linked through its pages, and its accounts come in', async () => {
  assert.deepEqual((await banks(session)).map(bank => bank.slug), ['sandbox'])
  const begun = await beginLink(session, 'sandbox', RETURN_URL)
  assert.deepEqual(begun.refusals, [])
  const returned = await agree(begun.authorizationUrl ?? '')
  assert.equal(returned.origin + returned.pathname, RETURN_URL)
  const { link, problem } = await completeLink(session, Object.fromEntries(returned.searchParams))
  assert.equal(problem, null)
  assert.equal(await synced(session, link ?? '', 50), null)
  const { node } = await elsewhere(`{ node(id: "${link}") { ... on Link { accounts(first: 100) { nodes { id } } } } }`, await token())
  const listed = new Set((await accounts(session)).map(account => account.id))
  assert.equal(node.accounts.nodes.length, 7)
  assert.ok(node.accounts.nodes.every((account: { id: string }) => listed.has(account.id)))
})

test('a return address that is not on the allow-list is refused in words', async () => {
  const { authorizationUrl, refusals } = await beginLink(session, 'sandbox', 'https://elsewhere.example/')
  assert.equal(authorizationUrl, null)
  assert.equal(refusals[0]?.code, 'RETURN_URL_NOT_ALLOWED')
})

test('amounts are written as they are, whatever their size and unit', () => {
  assert.equal(written({ amount: '922337203685477.5807', currency: 'USD' }).replace(/[^\d]/g, ''), '9223372036854775807')
  assert.equal(written({ amount: '0.00000001', currency: 'points' }), '0.00000001 points')
  assert.match(written({ amount: '1200', currency: 'JPY' }), /1,200$/)
})

/** Asks the graph without the app; answers `data`. */
async function elsewhere(query: string, accessToken?: string): Promise<any> {
  const headers = { 'Content-Type': 'application/json', ...(accessToken && { Authorization: `Bearer ${accessToken}` }) }
  const answer = await fetch(`${demo.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) })
  return (await answer.json()).data
}

/** An access token of another device of the same user. */
async function token(): Promise<string> {
  const signIn = `mutation { createSession(input: { email: "${demo.email}", password: "${demo.password}" }) { accessToken } }`
  return (await elsewhere(signIn)).createSession.accessToken
}

/** Goes through the pages as a person would, agreeing to everything; answers where the browser ends. */
async function agree(authorizationUrl: string): Promise<URL> {
  const cookies = new Map<string, string>()
  let url = new URL(authorizationUrl)
  let body: URLSearchParams | null = null
  for (let step = 0; step < 10; step += 1) {
    const headers = { Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
    const answer: Response = await fetch(url, { method: body ? 'POST' : 'GET', headers, body, redirect: 'manual' })
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      if (name !== undefined && value !== undefined) cookies.set(name, value)
    }
    const location = answer.headers.get('Location')
    body = null
    if (location !== null) {
      url = new URL(location, url)
      if (url.origin !== demo.url) return url
      continue
    }
    const page = await answer.text()
    const action = /<form [^>]*action="([^"]+)"/.exec(page)?.[1]
    assert.ok(answer.ok && action, page)
    const fields = [...page.matchAll(/<(?:input|button)[^>]*>/g)].map(([tag]) => [/name="([^"]+)"/.exec(tag)?.[1], /value="([^"]*)"/.exec(tag)?.[1]])
    const sent = fields.filter((field): field is [string, string] => field[0] !== undefined && field[1] !== undefined && field[1] !== 'decline')
    body = new URLSearchParams(sent)
    url = new URL(action, url)
  }
  throw new Error('the walk to the bank does not end')
}
