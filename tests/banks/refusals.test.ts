// Every way back from the bank that links nothing: what we say, and that the bank was asked for nothing, or refused it.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { APP, Bank } from './bank.ts'
import { Browser, type Shown } from './browser.ts'
import { FRONTEND, Server, world } from './server.ts'
import type { Begun } from './user.ts'

// Most of these never get as far as a sync, so one server bears them all.
const { bank, server, ann } = await world({ after })
const CALLBACK = server.callback()
const SANDBOX_CALLBACK = server.callback('sandbox')
const OTHER_PATH = `${server.url}/oauth/schwab/Callback`
await bank.register(CALLBACK, SANDBOX_CALLBACK, FRONTEND)

/** A person on the way to the bank, with the address our page leads to. */
async function leave(provider = 'schwab', returnUrl: string | null = null): Promise<Begun & { browser: Browser; asked: URL }> {
  const begun = await ann.beginLink(provider, returnUrl)
  const browser = new Browser()
  return { ...begun, browser, asked: await browser.leave(begun.authorizationUrl) }
}

/** An address with some of its parameters changed, or taken away. */
function changed(url: URL, parameters: Record<string, string | null>): URL {
  const other = new URL(url)
  for (const [name, value] of Object.entries(parameters)) {
    if (value === null) other.searchParams.delete(name)
    else other.searchParams.set(name, value)
  }
  return other
}

/** How a link stands and what the newest attempt to complete one is called on the trail. */
async function ended({ link: { id } }: Begun): Promise<(string | null | undefined)[]> {
  const { status, reason, nextAction } = await ann.link(id)
  return [status, reason, nextAction, (await ann.trail()).at(-1)]
}

/** What our page says, above and below. */
function said({ status, page }: Shown): (string | number | undefined)[] {
  return [status, ...[/<h1[^>]*>([^<]+)/, /<\/h1>\s*<p>([^<]+)/].map((part) => part.exec(page)?.[1]?.replaceAll('&#39;', "'"))]
}

/** Nothing came through any link. */
async function nothingCameIn(): Promise<void> {
  assert.deepEqual(await ann.money(), { accounts: [], transactions: [], holdings: [] })
  assert.deepEqual([bank.handed, bank.readings()], [[], { answered: 0, refused: 0 }])
}

test('a person who does not agree is told so, and no code is asked for', async () => {
  const walk = await leave()
  const back = await walk.browser.answer(walk.asked, false)
  const answer = back.searchParams
  assert.deepEqual([answer.get('error'), answer.get('iss'), answer.has('code')], ['access_denied', bank.issuer, false])
  const shown = await walk.browser.open(back)
  assert.deepEqual(said(shown), [200, 'Nothing was linked', 'You, or your bank on your behalf, said no.'])
  assert.ok(!shown.page.includes('the customer does not agree'), 'no words of the bank')
  assert.deepEqual(await ended(walk), ['FAILED', 'ACCESS_DENIED', 'RELINK', 'access_denied'])
  assert.deepEqual([bank.news(), bank.forms], [['authorize: access_denied'], []])
  // The state is spent, whatever else comes with it.
  assert.equal((await walk.browser.open(changed(back, { error: null, code: 'made-up' }))).status, 409)
  assert.deepEqual([bank.news(), bank.forms], [[], []])
  await nothingCameIn()
})

test('a state that nobody made links nothing, and takes nothing from the right one', async (t) => {
  const { bank, ann } = await world(t)
  const begun = await ann.beginLink()
  const browser = new Browser()
  const back = await browser.answer(await browser.leave(begun.authorizationUrl), true)
  for (const state of ['A'.repeat(43), '', null]) {
    const shown = await browser.open(changed(back, { state }))
    assert.deepEqual(said(shown).slice(0, 2), [400, 'This answer belongs to no request of ours'])
  }
  const { status, reason, lastSync } = await ann.link(begun.link.id)
  assert.deepEqual([status, reason, lastSync], ['PENDING', null, null])
  assert.deepEqual([bank.news(), bank.forms], [['authorize: a code'], []])
  assert.deepEqual(said(await browser.open(back)).slice(0, 2), [200, 'Charles Schwab is linked'])
  assert.equal((await ann.settled(begun.link.id)).status, 'ACTIVE')
  assert.deepEqual([bank.news(), (await ann.money()).accounts.length], [['authorization_code: tokens'], 2])
})

test('an answer without a code is an answer, and the last one', async () => {
  const walk = await leave()
  const back = await walk.browser.answer(walk.asked, true)
  assert.deepEqual(said(await walk.browser.open(changed(back, { code: null }))), [200, 'Nothing was linked', "The bank's answer was incomplete."])
  assert.deepEqual(await ended(walk), ['FAILED', 'MISSING_CODE', 'RELINK', 'missing_code'])
  assert.equal((await walk.browser.open(back)).status, 409)
  assert.deepEqual([bank.news(), bank.forms], [['authorize: a code'], []])
  await nothingCameIn()
})

test('a code that comes too late is refused', async () => {
  const walk = await leave()
  const back = await walk.browser.answer(walk.asked, true)
  await bank.endCode(back.searchParams.get('code') ?? '')
  assert.deepEqual(said(await walk.browser.open(back)), [200, 'Nothing was linked', 'The bank did not accept its own answer any more.'])
  assert.deepEqual(await ended(walk), ['FAILED', 'EXCHANGE_REFUSED', 'RELINK', 'exchange_refused'])
  assert.deepEqual(bank.news(), ['authorize: a code', 'authorization_code: authorization code is expired'])
  bank.forms.length = 0
  await nothingCameIn()
})

test('a code of another walk is worth nothing in this one, by PKCE', async () => {
  const [stolen, own] = [await leave(), await leave()]
  const code = (await stolen.browser.answer(stolen.asked, true)).searchParams.get('code')
  const back = await own.browser.answer(own.asked, true)
  const shown = await own.browser.open(changed(back, { code }))
  assert.deepEqual(said(shown), [200, 'Nothing was linked', 'The bank did not accept its own answer any more.'])
  assert.deepEqual(await ended(own), ['FAILED', 'EXCHANGE_REFUSED', 'RELINK', 'exchange_refused'])
  assert.equal((await ann.link(stolen.link.id)).status, 'PENDING')
  assert.deepEqual(bank.news(), ['authorize: a code', 'authorize: a code', 'authorization_code: code_verifier does not match code_challenge'])
  assert.deepEqual(bank.forms.splice(0).map(({ fields }) => fields.code), [code])
  await nothingCameIn()
})

test('the bank gives no code to a walk whose challenge was taken away', async () => {
  const walk = await leave()
  const back = await walk.browser.answer(changed(walk.asked, { code_challenge: null, code_challenge_method: null }), true)
  assert.equal(back.searchParams.get('error'), 'invalid_request')
  assert.deepEqual(said(await walk.browser.open(back)), [200, 'Nothing was linked', 'The bank reported an error of its own.'])
  assert.deepEqual(await ended(walk), ['FAILED', 'PROVIDER_ERROR', 'RELINK', 'provider_error'])
  assert.deepEqual([bank.news(), bank.forms], [['authorize: invalid_request'], []])
  await nothingCameIn()
})

test('the bank sends nobody to an address it does not know, not even by one letter', async () => {
  const walk = await leave()
  for (const redirect of [OTHER_PATH, `${CALLBACK}/`, CALLBACK.replace('127.0.0.1', 'localhost'), 'https://elsewhere.example/']) {
    const shown = await walk.browser.open(changed(walk.asked, { redirect_uri: redirect }))
    assert.deepEqual([shown.status, shown.location], [400, null], redirect)
    assert.match(shown.page, /^invalid_redirect_uri: /)
  }
  assert.ok(bank.news().every((word) => word === 'authorize: invalid_redirect_uri'))
  assert.equal((await ann.link(walk.link.id)).status, 'PENDING')
  await nothingCameIn()
})

test('a code for another address of ours is refused', async () => {
  const walk = await leave('schwab', FRONTEND)
  const back = await walk.browser.answer(changed(walk.asked, { redirect_uri: FRONTEND }), true)
  assert.equal(back.origin + back.pathname, FRONTEND)
  const { status, location } = await walk.browser.open(`${CALLBACK}${back.search}`)
  assert.deepEqual([status, location?.href], [303, `${FRONTEND}?status=failed&reason=exchange_refused`])
  assert.deepEqual(await ended(walk), ['FAILED', 'EXCHANGE_REFUSED', 'RELINK', 'exchange_refused'])
  assert.deepEqual(bank.news(), ['authorize: a code', 'authorization_code: authorization code redirect_uri mismatch'])
  assert.deepEqual(bank.forms.splice(0).map(({ fields }) => fields.redirect_uri), [CALLBACK])
  await nothingCameIn()
})

test('another browser links nothing with the answer of this one', async () => {
  const walk = await leave()
  const back = await walk.browser.answer(walk.asked, true)
  // It has a walk of its own, and so a cookie of its own.
  const other = await leave()
  const shown = await other.browser.open(back)
  assert.deepEqual(said(shown).slice(0, 2), [403, 'This is not the browser you started in'])
  assert.deepEqual(await ended(walk), ['FAILED', 'WRONG_BROWSER', 'RELINK', 'wrong_browser'])
  assert.equal((await walk.browser.open(back)).status, 409)
  assert.deepEqual([bank.news(), bank.forms], [['authorize: a code'], []])
  await nothingCameIn()
})

test('with a frontend another browser is sent there, where only who began can go on', async () => {
  const walk = await leave('schwab', FRONTEND)
  const back = await walk.browser.answer(walk.asked, true)
  const { status, location } = await new Browser().open(back)
  const [state, code] = ['state', 'code'].map((name) => back.searchParams.get(name))
  assert.deepEqual([status, location?.href], [303, `${FRONTEND}?${new URLSearchParams({ status: 'confirm', state: state!, code: code! })}`])
  assert.equal((await ann.link(walk.link.id)).status, 'PENDING')
  const eve = await server.user('eve@example.com')
  assert.equal(await eve.completeLink(state!, code!), 'STATE_INVALID')
  const { status: stands, reason } = await ann.link(walk.link.id)
  assert.deepEqual([stands, reason], ['FAILED', 'WRONG_USER'])
  assert.deepEqual([bank.news(), bank.forms], [['authorize: a code'], []])
  await nothingCameIn()
})

test('an answer of another issuer opens nothing where an answer of the sandbox bank is waited for', async () => {
  const walk = await leave('sandbox')
  const state = walk.asked.searchParams.get('state')
  // Somebody leads the person to another bank, which answers as truthfully as it can.
  const misled = new URL(`${bank.issuer}/v1/oauth/authorize`)
  misled.search = String(new URLSearchParams({ ...Object.fromEntries(walk.asked.searchParams), client_id: APP.id }))
  misled.searchParams.delete('scope')
  const back = await walk.browser.answer(misled, true)
  assert.equal(back.origin + back.pathname, SANDBOX_CALLBACK)
  assert.deepEqual([back.searchParams.get('iss'), back.searchParams.get('state')], [bank.issuer, state])
  const shown = await walk.browser.open(back)
  assert.deepEqual(said(shown), [200, 'Nothing was linked', 'The answer came from another bank than the one asked.'])
  assert.deepEqual(await ended(walk), ['FAILED', 'WRONG_ISSUER', 'RELINK', 'wrong_issuer'])
  assert.deepEqual([bank.news(), bank.forms], [['authorize: a code'], []])
  await nothingCameIn()
})

test('an answer that comes to the door of another bank opens nothing', async () => {
  const walk = await leave()
  const back = await walk.browser.answer(walk.asked, true)
  assert.deepEqual(said(await walk.browser.open(`${SANDBOX_CALLBACK}${back.search}`)).slice(0, 2), [200, 'Nothing was linked'])
  assert.deepEqual(await ended(walk), ['FAILED', 'WRONG_ISSUER', 'RELINK', 'wrong_issuer'])
  assert.equal((await walk.browser.open(back)).status, 409)
  assert.deepEqual([bank.news(), bank.forms], [['authorize: a code'], []])
  await nothingCameIn()
})

test('a code that another bank gave for this one is refused here, and never taken there', async (t) => {
  const elsewhere = await Bank.open()
  t.after(() => elsewhere.close())
  await elsewhere.register(CALLBACK)
  const walk = await leave()
  const back = await walk.browser.answer(new URL(walk.asked.pathname + walk.asked.search, elsewhere.issuer), true)
  assert.equal(back.searchParams.get('iss'), elsewhere.issuer)
  assert.deepEqual(said(await walk.browser.open(back)).slice(0, 2), [200, 'Nothing was linked'])
  assert.deepEqual(await ended(walk), ['FAILED', 'EXCHANGE_REFUSED', 'RELINK', 'exchange_refused'])
  assert.deepEqual(bank.news(), ['authorization_code: authorization code not found'])
  assert.deepEqual([elsewhere.news(), elsewhere.forms], [['authorize: a code'], []])
  bank.forms.length = 0
  await nothingCameIn()
})

test('an answer that comes twice is exchanged once, and the link stays', async (t) => {
  const { bank, ann } = await world(t)
  const begun = await ann.beginLink()
  const browser = new Browser()
  const back = await browser.answer(await browser.leave(begun.authorizationUrl), true)
  // Both come while the bank is still asked for tokens.
  const token = bank.hold('/v1/oauth/token')
  const first = browser.open(back)
  await token.arrived
  assert.deepEqual(said(await browser.open(back)).slice(0, 2), [409, 'This answer was used before'])
  assert.equal((await new Browser().open(back)).status, 409)
  token.release()
  assert.deepEqual(said(await first).slice(0, 2), [200, 'Charles Schwab is linked'])
  const link = await ann.settled(begun.link.id)
  assert.deepEqual([link.status, link.reason, link.lastSync?.status], ['ACTIVE', null, 'SUCCEEDED'])
  assert.equal((await browser.open(back)).status, 409)
  assert.deepEqual(await ann.link(begun.link.id), link)
  assert.deepEqual([bank.news(), bank.forms.length], [['authorize: a code', 'authorization_code: tokens'], 1])
  // Our page works once, too.
  assert.equal((await new Browser().open(begun.authorizationUrl)).status, 410)
})

test('a server that the bank does not know by its secret links nothing', async (t) => {
  const stranger = await Server.start(bank, { DASHTAM_PROVIDERS__SCHWAB__CLIENT_SECRET: `${APP.secret}!` })
  t.after(() => stranger.stop())
  await bank.register(CALLBACK, SANDBOX_CALLBACK, FRONTEND, stranger.callback())
  const bob = await stranger.user('bob@example.com')
  const begun = await bob.beginLink()
  const shown = await new Browser().link(begun.authorizationUrl)
  const why = "The bank does not accept this server's own credentials. The server's operator has to mend that first."
  assert.deepEqual(said(shown), [200, 'Nothing was linked', why])
  const { status, reason, lastSync } = await bob.link(begun.link.id)
  assert.deepEqual([status, reason, lastSync], ['FAILED', 'APP_REJECTED', null])
  assert.deepEqual(bank.news(), ['authorize: a code', 'authorization_code: invalid secret provided'])
  assert.deepEqual(bank.handed, [])
})
