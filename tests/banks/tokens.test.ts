// What becomes of tokens at a bank whose refresh tokens work once: a link lives as long as its consent, and ends when the bank ends it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { APP, type Bank } from './bank.ts'
import { Browser } from './browser.ts'
import { Server, world } from './server.ts'
import { type Link, User } from './user.ts'

/** Shorter than what is left of a token that is still used, so that every reading of the bank begins with a refresh. */
const SHORT = 60

/** Links the bank and waits for the first sync. */
async function linked(bank: Bank, user: User, browser = new Browser()): Promise<Link> {
  const begun = await user.beginLink()
  const { status, page } = await browser.link(begun.authorizationUrl)
  assert.equal(status, 200, page)
  const link = await user.settled(begun.link.id)
  const rows = bank.brokerages.flatMap((brokerage) => brokerage.rows)
  assert.deepEqual([link.status, link.lastSync?.status, link.lastSync?.added], ['ACTIVE', 'SUCCEEDED', rows.length])
  return link
}

/** A link that the bank has ended. */
function hasExpired(link: Link): void {
  assert.deepEqual([link.status, link.reason, link.nextAction], ['EXPIRED', 'CREDENTIALS_REJECTED', 'RELINK'])
  assert.deepEqual([link.lastSync?.status, link.lastSync?.problem], ['FAILED', 'CREDENTIALS_REJECTED'])
}

test('an access token that ends early is replaced once, and the sync goes on', async (t) => {
  const { bank, ann } = await world(t)
  const { id } = await linked(bank, ann)
  const first = bank.last
  assert.deepEqual(bank.news(), ['authorize: a code', 'authorization_code: tokens'])
  bank.readings()

  await bank.endAccess(first.accessToken)
  const { status, lastSync } = await ann.sync(id)
  assert.deepEqual([status, lastSync?.status, lastSync?.added], ['ACTIVE', 'SUCCEEDED', 0])
  assert.deepEqual([bank.news(), bank.readings()], [['refresh_token: tokens'], { answered: 5, refused: 1 }])
  const { authorization, fields } = bank.forms.at(-1)!
  assert.deepEqual(fields, { grant_type: 'refresh_token', refresh_token: first.refreshToken })
  assert.equal(authorization, bank.forms[0]?.authorization)
  assert.deepEqual([await bank.takes(first.refreshToken), await bank.takes(bank.last.refreshToken)], [false, true])

  await ann.sync(id)
  assert.deepEqual([bank.news(), bank.readings()], [[], { answered: 5, refused: 0 }], 'the new token is kept')
})

test('each refresh token is used once over many syncs, and the new one is kept', async (t) => {
  const { bank, server, ann } = await world(t)
  bank.accessTokenSeconds = SHORT
  const { id, consent } = await linked(bank, ann)
  // The first sync reads the bank twice: the last days, and everything before them.
  assert.deepEqual(bank.news(), ['authorize: a code', 'authorization_code: tokens', 'refresh_token: tokens', 'refresh_token: tokens'])
  const before = await ann.money()
  for (let round = 0; round < 4; round += 1) {
    const { status, lastSync } = await ann.sync(id)
    assert.deepEqual([status, lastSync?.status], ['ACTIVE', 'SUCCEEDED'])
    assert.deepEqual(bank.news(), ['refresh_token: tokens'])
  }
  const used = bank.forms.slice(1).map(({ fields }) => fields.refresh_token)
  const handed = bank.handed.map(({ refreshToken }) => refreshToken)
  assert.deepEqual(used, handed.slice(0, -1))
  assert.equal(new Set(handed).size, 7)
  assert.deepEqual(await Promise.all(handed.map((token) => bank.takes(token))), [false, false, false, false, false, false, true])
  assert.equal(bank.readings().refused, 0, 'no token was tried that had ended')
  assert.deepEqual(await ann.money(), before)
  assert.deepEqual((await ann.link(id)).consent, consent, 'renewing extends no consent')
  assert.deepEqual(await server.spells(bank.handed.flatMap(({ accessToken, refreshToken }) => [accessToken, refreshToken])), [])
})

test('two syncs of one link at once are one, with one refresh', async (t) => {
  const { bank, ann } = await world(t)
  bank.accessTokenSeconds = SHORT
  const { id } = await linked(bank, ann)
  bank.news()
  const token = bank.hold('/v1/oauth/token')
  const asked = await Promise.all([ann.requestSync(id), ann.requestSync(id), ann.requestSync(id)])
  assert.deepEqual(asked.map(String).sort(), ['SYNC_UNDER_WAY', 'SYNC_UNDER_WAY', 'null'])
  await token.arrived
  assert.equal(await ann.requestSync(id), 'SYNC_UNDER_WAY')
  assert.deepEqual(bank.news(), [], 'the refresh is on its way')
  token.release()
  const { status, lastSync } = await ann.settled(id)
  assert.deepEqual([status, lastSync?.status], ['ACTIVE', 'SUCCEEDED'])
  assert.deepEqual(bank.news(), ['refresh_token: tokens'])
})

test('links of two people to one bank are synced at once, each with its own tokens', async (t) => {
  const { bank, server, ann } = await world(t)
  // Two first syncs fit into what Schwab bears in a minute.
  bank.brokerages = bank.brokerages.slice(1)
  bank.accessTokenSeconds = SHORT
  const bob = await server.user('bob@example.com')
  const [hers, his] = [await linked(bank, ann), await linked(bank, bob)]
  bank.news()
  const already = bank.handed.length
  assert.deepEqual(await Promise.all([ann.requestSync(hers.id), bob.requestSync(his.id)]), [null, null])
  const links = await Promise.all([ann.settled(hers.id), bob.settled(his.id)])
  assert.deepEqual(links.map(({ status, lastSync }) => [status, lastSync?.status]), [['ACTIVE', 'SUCCEEDED'], ['ACTIVE', 'SUCCEEDED']])
  assert.deepEqual(bank.news(), ['refresh_token: tokens', 'refresh_token: tokens'])
  const fresh = bank.handed.slice(already)
  assert.deepEqual(await Promise.all(fresh.map(({ refreshToken }) => bank.takes(refreshToken))), [true, true])
  assert.equal(bank.readings().refused, 0)
  for (const [user, link] of [[ann, hers], [bob, his]] as const) {
    const { accounts, transactions } = await user.money()
    assert.deepEqual([accounts.map(({ link: through }) => through.id), transactions.length], [[link.id], 1])
  }
})

test('a refresh that is under way when the person links again replaces nothing', async (t) => {
  const { bank, ann } = await world(t)
  const { id } = await linked(bank, ann)
  await bank.endAccess(bank.last.accessToken)
  const before = await ann.money()
  bank.news()
  const token = bank.hold('/v1/oauth/token')
  assert.equal(await ann.requestSync(id), null)
  await token.arrived
  const again = await ann.relink(id)
  assert.equal((await new Browser().link(again.authorizationUrl)).status, 200)
  const newer = bank.last
  assert.equal(newer.grant, 'authorization_code')
  token.release()
  const { status, lastSync } = await ann.settled(id)
  assert.deepEqual([status, lastSync?.status, lastSync?.added], ['ACTIVE', 'SUCCEEDED', 0])
  assert.deepEqual(bank.news(), ['authorize: a code', 'authorization_code: tokens', 'refresh_token: tokens'])

  await bank.endAccess(newer.accessToken)
  assert.equal((await ann.sync(id)).lastSync?.status, 'SUCCEEDED')
  assert.deepEqual([bank.news(), bank.forms.at(-1)?.fields.refresh_token], [['refresh_token: tokens'], newer.refreshToken])
  assert.deepEqual(await ann.money(), before)
})

test('a link that is taken away while its tokens are refreshed stays away', async (t) => {
  const { bank, server, ann } = await world(t)
  const { id } = await linked(bank, ann)
  await bank.endAccess(bank.last.accessToken)
  bank.news()
  const token = bank.hold('/v1/oauth/token')
  assert.equal(await ann.requestSync(id), null)
  await token.arrived
  assert.equal((await ann.unlink(id)).status, 'UNLINKED')
  bank.readings()
  token.release()
  const link = await ann.settled(id)
  assert.deepEqual([link.status, link.reason, link.lastSync?.status, link.lastSync?.problem], ['UNLINKED', null, 'FAILED', 'LINK_ENDED'])
  assert.deepEqual(bank.readings(), { answered: 0, refused: 0 }, 'nothing is read any more')
  assert.equal(await ann.requestSync(id), 'LINK_NOT_ACTIVE')
  const { accounts, transactions } = await ann.money()
  assert.deepEqual([accounts.map(({ isActive }) => isActive), transactions.length], [[false, false], 4])
  assert.deepEqual(await server.spells(bank.handed.flatMap(({ accessToken, refreshToken }) => [accessToken, refreshToken])), [])
})

test('a server that is told to stop keeps the tokens that are on their way', async (t) => {
  const { bank, server, ann } = await world(t)
  bank.accessTokenSeconds = SHORT
  const { id } = await linked(bank, ann)
  bank.news()
  const token = bank.hold('/v1/oauth/token')
  assert.equal(await ann.requestSync(id), null)
  await token.arrived
  const ended = server.end()
  // It has heard of it once it answers nobody any more.
  while (await fetch(`${server.url}/health`).then(({ ok }) => ok, () => false)) await new Promise((later) => setTimeout(later, 10))
  assert.deepEqual(bank.news(), [])
  token.release()
  await ended
  assert.deepEqual(bank.news(), ['refresh_token: tokens'])
  const kept = bank.last

  const next = await Server.start(bank, {}, server)
  t.after(() => next.stop())
  const back = await User.signIn(next.url, 'ann@example.com')
  const { status, lastSync } = await back.settled(id)
  assert.deepEqual([status, lastSync?.status], ['ACTIVE', 'SUCCEEDED'], 'the sync was finished, too')
  assert.equal((await back.sync(id)).lastSync?.status, 'SUCCEEDED')
  assert.deepEqual([bank.news(), bank.forms.at(-1)?.fields.refresh_token], [['refresh_token: tokens'], kept.refreshToken])
})

test('a consent that the bank revokes expires the link, and linking again brings back the same accounts', async (t) => {
  const { bank, ann } = await world(t)
  const browser = new Browser()
  const { id } = await linked(bank, ann, browser)
  const before = await ann.money()
  const first = bank.last
  bank.news()
  assert.equal((await bank.asApp('revocation', { token: first.refreshToken, token_type_hint: 'refresh_token' })).status, 200)
  assert.deepEqual([bank.news(), await bank.takes(first.refreshToken)], [['revoked'], false])
  bank.readings()

  hasExpired(await ann.sync(id))
  assert.deepEqual([bank.news(), bank.readings()], [['refresh_token: refresh token not found'], { answered: 0, refused: 1 }])
  assert.deepEqual(await ann.money(), before, 'what is there stays')
  assert.equal(await ann.requestSync(id), 'LINK_NOT_ACTIVE')
  assert.deepEqual([bank.news(), bank.readings()], [[], { answered: 0, refused: 0 }], 'the bank is left alone')

  // Meanwhile one more row is booked.
  bank.brokerages[0]?.rows.push({ id: 104, type: 'ACH_RECEIPT', daysAgo: 1, amount: 75, description: 'WHILE NOBODY LOOKED' })
  const again = await ann.relink(id)
  assert.deepEqual([again.link.id, again.link.status], [id, 'EXPIRED'])
  assert.equal((await browser.link(again.authorizationUrl)).status, 200)
  const link = await ann.settled(id)
  assert.deepEqual([link.status, link.reason, link.nextAction, link.lastSync?.status, link.lastSync?.added], ['ACTIVE', null, null, 'SUCCEEDED', 1])
  assert.deepEqual(bank.news(), ['authorize: a code', 'authorization_code: tokens'])
  const after = await ann.money()
  assert.deepEqual([after.accounts, after.holdings], [before.accounts, before.holdings])
  const added = after.transactions.filter(({ id: row }) => !before.transactions.some((known) => known.id === row))
  assert.deepEqual(added.map(({ description }) => description), ['WHILE NOBODY LOOKED'])
  assert.deepEqual(after.transactions.filter((row) => !added.includes(row)), before.transactions)
  assert.deepEqual(await ann.trail(), ['SUCCEEDED', 'SUCCEEDED'])
})

test('a refresh token that a thief uses ends the link for both', async (t) => {
  const { bank, ann } = await world(t)
  const { id } = await linked(bank, ann)
  const stolen = bank.last
  await bank.endAccess(stolen.accessToken)
  assert.equal((await ann.sync(id)).lastSync?.status, 'SUCCEEDED')
  const ours = bank.last
  bank.news()
  const thief = await bank.asApp('token', { grant_type: 'refresh_token', refresh_token: stolen.refreshToken })
  assert.deepEqual([thief.status, (await thief.json() as { error: string }).error], [400, 'invalid_grant'])
  assert.deepEqual(bank.news(), ['revoked', 'refresh_token: refresh token already used'])
  assert.equal(await bank.takes(ours.refreshToken), false)

  hasExpired(await ann.sync(id))
  assert.deepEqual(bank.news(), ['refresh_token: refresh token not found'])
})

test('a code that comes to the bank a second time ends what the first one opened', async (t) => {
  const { bank, ann } = await world(t)
  const { id } = await linked(bank, ann)
  bank.news()
  const thief = await bank.asApp('token', bank.forms[0]?.fields as Record<string, string>)
  assert.equal(thief.status, 400)
  assert.deepEqual(bank.news(), ['revoked', 'authorization_code: authorization code already consumed'])
  hasExpired(await ann.sync(id))
  assert.deepEqual(bank.news(), ['refresh_token: refresh token not found'])
})

test('a consent that works can be renewed, and a refusal takes nothing from it', async (t) => {
  const { bank, ann } = await world(t)
  const { id } = await linked(bank, ann)
  const [first, before] = [bank.last, await ann.money()]
  bank.news()

  const refused = await ann.relink(id)
  const { page } = await new Browser().link(refused.authorizationUrl, false)
  assert.match(page, /Nothing was linked/)
  assert.deepEqual([(await ann.link(id)).status, await ann.trail()], ['ACTIVE', ['SUCCEEDED', 'access_denied']])
  assert.equal((await ann.sync(id)).lastSync?.status, 'SUCCEEDED')
  assert.deepEqual([bank.news(), bank.last], [['authorize: access_denied'], first], 'the first tokens go on')

  const agreed = await ann.relink(id)
  assert.equal((await new Browser().link(agreed.authorizationUrl)).status, 200)
  assert.deepEqual([(await ann.settled(id)).status, await ann.money()], ['ACTIVE', before])
  assert.deepEqual(bank.news(), ['authorize: a code', 'authorization_code: tokens'])
  // What the bank handed out last is what is used from now on.
  await bank.endAccess(bank.last.accessToken)
  const { refreshToken } = bank.last
  assert.equal((await ann.sync(id)).lastSync?.status, 'SUCCEEDED')
  assert.deepEqual([bank.news(), bank.forms.at(-1)?.fields.refresh_token], [['refresh_token: tokens'], refreshToken])
})

test('a server that the bank does not know by its secret takes no consent from anybody', async (t) => {
  const { bank, server, ann } = await world(t)
  const { id } = await linked(bank, ann)
  const { accessToken, refreshToken } = bank.last
  await server.end()
  await bank.endAccess(accessToken)
  bank.news()
  const wrong = await Server.start(bank, { DASHTAM_PROVIDERS__SCHWAB__CLIENT_SECRET: `${APP.secret}!` }, server)
  t.after(() => wrong.stop())
  const mistaken = await User.signIn(wrong.url, 'ann@example.com')
  assert.equal(await mistaken.requestSync(id), null)
  for (const end = Date.now() + 10_000; bank.told.length === 0 && Date.now() < end; ) await new Promise((later) => setTimeout(later, 25))
  assert.deepEqual([bank.news(), (await mistaken.link(id)).status], [['refresh_token: invalid secret provided'], 'ACTIVE'])
  assert.equal(await bank.takes(refreshToken), true)
})
