// From `beginLink` to the first sync, with what the bank saw on the way.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { APP, Bank } from './bank.ts'
import { Browser } from './browser.ts'
import { FRONTEND, world } from './server.ts'

test('the bank is as strict as it is meant to be', async (t) => {
  const bank = await Bank.open()
  t.after(() => bank.close())
  const told = await (await fetch(`${bank.issuer}/.well-known/openid-configuration`)).json() as Record<string, unknown>
  const wanted = {
    issuer: bank.issuer,
    authorization_endpoint: `${bank.issuer}/v1/oauth/authorize`,
    token_endpoint: `${bank.issuer}/v1/oauth/token`,
    revocation_endpoint: `${bank.issuer}/v1/oauth/revoke`,
    token_endpoint_auth_methods_supported: ['client_secret_basic'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
  }
  assert.deepEqual(Object.fromEntries(Object.keys(wanted).map((name) => [name, told[name]])), wanted)
  const stranger = await fetch(`${bank.issuer}/trader/v1/accounts?fields=positions`, { headers: { Authorization: 'Bearer made-up' } })
  assert.deepEqual([stranger.status, bank.readings()], [401, { answered: 0, refused: 1 }])
})

test('a person links the bank, and its accounts come in', async (t) => {
  const { bank, server, ann } = await world(t)
  const begun = await ann.beginLink()
  assert.deepEqual([begun.link.status, begun.link.nextAction, begun.providerAuthorizationUrl], ['PENDING', 'AUTHORIZE', null])
  assert.equal(new URL(begun.authorizationUrl).origin, server.url)

  const browser = new Browser()
  const asked = await browser.leave(begun.authorizationUrl)
  const walk = asked.searchParams
  assert.equal(asked.origin + asked.pathname, `${bank.issuer}/v1/oauth/authorize`)
  assert.deepEqual([walk.get('response_type'), walk.get('client_id'), walk.get('redirect_uri')], ['code', APP.id, server.callback()])
  assert.equal(walk.get('code_challenge_method'), 'S256')
  assert.match(walk.get('state') ?? '', /^[\w-]{43}$/)
  const [cookie, ...others] = await browser.cookies(server.url)
  assert.ok(cookie)
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, others], [true, 'lax', []])

  const answered = await browser.answer(asked, true)
  assert.equal(answered.origin + answered.pathname, server.callback())
  assert.deepEqual([answered.searchParams.get('state'), answered.searchParams.get('iss')], [walk.get('state'), bank.issuer])
  assert.deepEqual([(await ann.link(begun.link.id)).status, bank.forms], ['PENDING', []])
  const { status, page } = await browser.open(answered)
  assert.deepEqual([status, /<h1[^>]*>([^<]+)/.exec(page)?.[1]], [200, 'Charles Schwab is linked'])
  assert.ok(!(await browser.cookies(server.url)).some(({ name }) => name === cookie.name), 'the cookie is spent')

  const link = await ann.settled(begun.link.id)
  assert.deepEqual([link.status, link.reason, link.nextAction], ['ACTIVE', null, null])
  const consent = Date.parse(link.consent.expiresAt ?? '') - Date.now()
  assert.ok(Math.abs(consent - 7 * 86_400_000) < 60_000, link.consent.expiresAt ?? '')
  assert.deepEqual({ ...link.lastSync, id: '' }, { id: '', status: 'SUCCEEDED', problem: null, accounts: 2, added: 4, modified: 0, removed: 0 })
  assert.deepEqual(await ann.trail(), ['SUCCEEDED'])

  assert.deepEqual(bank.news(), ['authorize: a code', 'authorization_code: tokens'])
  const [{ authorization, fields } = { authorization: '', fields: {} }, ...more] = bank.forms
  assert.deepEqual(more, [])
  assert.deepEqual(Object.keys(fields).sort(), ['code', 'code_verifier', 'grant_type', 'redirect_uri'])
  assert.match(authorization ?? '', /^Basic /)
  assert.deepEqual([fields.code, fields.redirect_uri], [answered.searchParams.get('code'), server.callback()])
  const verifier = String(fields.code_verifier)
  assert.equal(createHash('sha256').update(verifier).digest('base64url'), walk.get('code_challenge'))
  assert.ok(bank.reads.every(({ path }) => !/12345678|87654321/.test(path)), 'no address holds the number of an account')
  const readings = bank.readings()
  assert.ok(readings.answered >= 8 && readings.refused === 0, JSON.stringify(readings))

  const { accounts, transactions, holdings } = await ann.money()
  assert.deepEqual(accounts.map(({ name, maskedNumber, balances, link: through }) => [name, maskedNumber, balances.current.amount, through.id]), [
    ['Nest egg', '••••5678', '10250.75', link.id],
    ['Rainy days', '••••4321', '99.50', link.id],
  ])
  assert.deepEqual(transactions.map(({ description, amount, subtype }) => [description, amount.amount, subtype]), [
    ['CREDIT INTEREST', '1.50', 'INTEREST'],
    ['TO THE CHECKING ACCOUNT', '-40.00', 'WITHDRAWAL'],
    ['WIRE FROM ELSEWHERE', '500.00', 'WIRE_IN'],
    ['FIRST DEPOSIT', '250.25', 'DEPOSIT'],
  ])
  assert.deepEqual(holdings.map(({ quantity, security }) => [security.symbol, quantity]), [['MSFT', '12']])

  const again = await ann.sync(link.id)
  assert.deepEqual([again.lastSync?.status, again.lastSync?.added, again.lastSync?.modified], ['SUCCEEDED', 0, 0])
  assert.deepEqual(await ann.money(), { accounts, transactions, holdings }, 'nothing is doubled')
  assert.deepEqual([bank.news(), bank.readings()], [[], { answered: 5, refused: 0 }], 'a token that lasts is used as long as it does')

  const { accessToken, refreshToken } = bank.last
  const ticket = new URL(begun.authorizationUrl).searchParams.get('ticket') ?? ''
  const secrets = [accessToken, refreshToken, verifier, String(fields.code), walk.get('state') ?? '', cookie.value, ticket, APP.secret, '12345678']
  assert.deepEqual([secrets.some((secret) => secret.length < 8), await server.spells(secrets)], [false, []])
  // What is no secret is found where it stands.
  const found = await server.spells(['Nest egg', 'commands::serve'])
  assert.ok(found.includes('the log') && found.some((name) => name.startsWith('dashtam.db')), found.join())
})

test('a frontend gets the browser back, and is told how it ended', async (t) => {
  const { bank, ann } = await world(t)
  const agreed = await ann.beginLink('schwab', FRONTEND)
  const { status, location } = await new Browser().link(agreed.authorizationUrl)
  assert.deepEqual([status, location?.href], [303, `${FRONTEND}?status=active&link=${agreed.link.id}`])
  assert.equal((await ann.settled(agreed.link.id)).lastSync?.status, 'SUCCEEDED')
  assert.deepEqual(bank.news(), ['authorize: a code', 'authorization_code: tokens'])

  const refused = await ann.beginLink('schwab', FRONTEND)
  const back = await new Browser().link(refused.authorizationUrl, false)
  assert.deepEqual([back.status, back.location?.href], [303, `${FRONTEND}?status=failed&reason=access_denied`])
  assert.deepEqual(bank.news(), ['authorize: access_denied'])
})

test('a frontend catches the answer itself, and only who began completes the link', async (t) => {
  const { bank, server, ann } = await world(t)
  await bank.register(server.callback(), FRONTEND)
  const bob = await server.user('bob@example.com')
  const walk = async (): Promise<{ id: string; state: string; code: string }> => {
    const begun = await ann.beginLink('schwab', FRONTEND)
    const back = await new Browser().answer(new URL(begun.providerAuthorizationUrl ?? ''), true)
    return { id: begun.link.id, state: back.searchParams.get('state') ?? '', code: back.searchParams.get('code') ?? '' }
  }
  const own = await walk()
  const link = await ann.completeLink(own.state, own.code)
  assert.ok(typeof link === 'object' && link.id === own.id && link.status === 'ACTIVE', JSON.stringify(link))
  assert.equal(await ann.completeLink(own.state, own.code), 'STATE_USED')
  assert.equal((await ann.settled(own.id)).lastSync?.status, 'SUCCEEDED')
  assert.deepEqual(bank.news(), ['authorize: a code', 'authorization_code: tokens'])

  const stolen = await walk()
  assert.equal(await bob.completeLink(stolen.state, stolen.code), 'STATE_INVALID')
  assert.equal(await ann.completeLink(stolen.state, stolen.code), 'STATE_USED')
  const { status, reason } = await ann.link(stolen.id)
  assert.deepEqual([status, reason], ['FAILED', 'WRONG_USER'])
  assert.deepEqual(bank.news(), ['authorize: a code'], 'the bank was not asked for tokens')
  assert.deepEqual((await bob.money()).accounts, [])
})
