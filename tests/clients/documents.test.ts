// Every root field asked for by a document whose types were generated and checked, and every document answered by the server as a user
// would have it answered: no fault, no refusal.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { type GraphQLObjectType, Kind, type OperationDefinitionNode, TypeInfo, print, visit, visitWithTypeInfo } from 'graphql'
import type { TypedDocumentNode } from '@graphql-typed-document-node/core'
import * as gql from './gql/graphql.ts'
import { Device, agree, mailed } from './people.ts'
import { schema } from './schema.ts'
import { PASSWORD, Server, ask } from './server.ts'

type Document = TypedDocumentNode<any, any>
const DOCUMENTS = Object.entries(gql).filter((entry): entry is [string, Document] => entry[0].endsWith('Document'))
const operation = (document: Document): OperationDefinitionNode => document.definitions.find((node) => node.kind === Kind.OPERATION_DEFINITION)!

test('every root field, with every argument, is asked for by a document', () => {
  const asked = new Set<string>()
  for (const [, document] of DOCUMENTS) {
    const types = new TypeInfo(schema)
    visit(document, visitWithTypeInfo(types, {
      Field(field) {
        const place = `${types.getParentType()}.${field.name.value}`
        asked.add(place)
        for (const argument of field.arguments ?? []) asked.add(`${place}(${argument.name.value})`)
      },
    }))
  }
  const wanted = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]
    .filter((root): root is GraphQLObjectType => root != null)
    .flatMap((root) => Object.values(root.getFields()).flatMap(({ name, args }) => [`${root}.${name}`, ...args.map((arg) => `${root}.${name}(${arg.name})`)]))
  assert.deepEqual(wanted.filter((place) => !asked.has(place)), [], 'write a document for it in documents/')
})

const server = await Server.start()
after(() => server.stop())

const sent = new Set<string>()

/** Sends a document; whatever its root fields refuse fails the test. */
async function send<Result, Variables extends object>(
  document: TypedDocumentNode<Result, Variables>, variables: Variables, token: string | null = server.accessToken,
): Promise<Result> {
  const { name } = operation(document)
  const { data, errors } = await ask(server, print(document), variables, token)
  assert.equal(errors, undefined, name?.value)
  for (const answer of Object.values(data as Record<string, { userErrors?: object[] } | null>)) assert.deepEqual(answer?.userErrors ?? [], [], name?.value)
  sent.add(String(name?.value))
  return data as Result
}

/** Sends a document that is refused with this code: what it asks for needs somebody who is not here. */
async function isRefused<Result, Variables extends object>(document: TypedDocumentNode<Result, Variables>, variables: Variables, code: string): Promise<void> {
  const { name } = operation(document)
  const { data, errors } = await ask(server, print(document), variables, server.accessToken)
  assert.equal(errors, undefined, name?.value)
  const [answer] = Object.values(data as Record<string, { userErrors: { code: string }[] }>)
  assert.deepEqual(answer?.userErrors.map((error) => error.code), [code], name?.value)
  sent.add(String(name?.value))
}

/** Nothing here is null, whatever the schema allows. */
function given<Value>(value: Value): NonNullable<Value> {
  assert.ok(value !== null && value !== undefined)
  return value
}

async function signIn(email: string, password = PASSWORD): Promise<{ session: string; token: string; refreshToken: string }> {
  const { createSession } = await send(gql.CreateSessionDocument, { input: { email, password } }, null)
  return { session: given(createSession.session).id, token: given(createSession.accessToken), refreshToken: given(createSession.refreshToken) }
}

test('somebody registers, agrees to the terms, confirms the address and signs in', async () => {
  const email = 'ann@example.com'
  const { legalDocuments } = await send(gql.LegalDocumentsDocument, {}, null)
  assert.deepEqual(legalDocuments, [{ kind: 'TERMS', version: '2026-11', url: 'https://money.example.com/terms' }])
  const agreements = legalDocuments.map(({ kind, version }) => ({ kind, version }))
  await send(gql.RegisterUserDocument, { input: { email, password: PASSWORD, agreements } }, null)
  const first = await mailed(server, email, '/verify-email')
  await send(gql.ResendVerificationDocument, { input: { email } }, null)
  const { verifyEmail } = await send(gql.VerifyEmailDocument, { input: { token: await mailed(server, email, '/verify-email', [first]) } }, null)
  assert.equal(verifyEmail.verified, true)
  const { token } = await signIn(email)
  const { viewer } = await send(gql.ViewerDocument, {}, token)
  assert.deepEqual([viewer?.email, viewer?.role, viewer?.secondFactor], [email, 'USER', null])
  const { updateProfile } = await send(gql.UpdateProfileDocument, { input: { displayName: 'Ann' } }, token)
  assert.equal(updateProfile.user?.displayName, 'Ann')
  assert.equal((await send(gql.AgreeToDocumentsDocument, { input: { agreements } }, token)).agreeToDocuments.agreed, true)
  const mine = await send(gql.AgreementsDocument, { first: 10 }, token)
  assert.deepEqual(mine.viewer?.agreements.nodes.map(({ kind, version }) => ({ kind, version })), agreements)
})

test('sessions are renewed, named, listed and ended', async () => {
  await server.makeUser('ben@example.com')
  const [here, there, elsewhere] = [await signIn('ben@example.com'), await signIn('ben@example.com'), await signIn('ben@example.com')]
  const { refreshSession } = await send(gql.RefreshSessionDocument, { input: { refreshToken: here.refreshToken } }, null)
  const token = given(refreshSession.accessToken)
  await send(gql.RenameSessionDocument, { input: { sessionId: there.session, name: 'Kitchen' } }, token)
  await send(gql.RevokeSessionDocument, { input: { sessionId: elsewhere.session } }, token)
  const { viewer } = await send(gql.SessionsDocument, { last: 10 }, token)
  const listed = new Map(viewer?.sessions.edges.map(({ node }) => [node.id, node]))
  assert.deepEqual([listed.get(here.session)?.isCurrent, listed.get(there.session)?.name, listed.get(elsewhere.session)?.revocationReason], [true, 'Kitchen', 'REQUESTED'])
  assert.equal((await send(gql.RevokeOtherSessionsDocument, {}, token)).revokeOtherSessions.revoked, 1)
  assert.equal((await send(gql.RevokeAllSessionsDocument, {}, token)).revokeAllSessions.revoked, 1)
  assert.equal((await ask(server, '{ viewer { id } }', {}, token)).extensions?.authentication, 'SESSION_ENDED')
})

test('a password is changed, forgotten and reset', async () => {
  const [email, other] = ['cleo@example.com', 'eleven lanterns by the sea']
  await server.makeUser(email)
  const { token } = await signIn(email)
  await send(gql.ChangePasswordDocument, { input: { currentPassword: PASSWORD, newPassword: other } }, token)
  await send(gql.RequestPasswordResetDocument, { input: { email } }, null)
  const { resetPassword } = await send(gql.ResetPasswordDocument, { input: { token: await mailed(server, email, '/reset-password'), newPassword: PASSWORD } }, null)
  assert.equal(resetPassword.reset, true)
  await signIn(email)
})

test('a second factor is enrolled, asked for, and taken away', async () => {
  const email = 'dora@example.com'
  await server.makeUser(email)
  const { token } = await signIn(email)
  await send(gql.ReauthenticateDocument, { input: { password: PASSWORD } }, token)
  const { beginSecondFactor } = await send(gql.BeginSecondFactorDocument, {}, token)
  const device = new Device(given(beginSecondFactor.enrolment).secret)
  const { confirmSecondFactor } = await send(gql.ConfirmSecondFactorDocument, { input: { code: device.code() } }, token)
  const [recoveryCode] = given(confirmSecondFactor.recoveryCodes)

  const { createSession } = await send(gql.CreateSessionDocument, { input: { email, password: PASSWORD } }, null)
  assert.equal(createSession.session, null)
  const answer = { challenge: given(createSession.challenge).token, code: device.code() }
  const { verifySecondFactor } = await send(gql.VerifySecondFactorDocument, { input: answer }, null)
  const second = given(verifySecondFactor.accessToken)

  await send(gql.ReauthenticateDocument, { input: { password: PASSWORD, code: given(recoveryCode) } }, second)
  const { viewer } = await send(gql.ViewerDocument, {}, second)
  assert.equal(viewer?.secondFactor?.recoveryCodesLeft, 9)
  assert.equal((await send(gql.RegenerateRecoveryCodesDocument, {}, second)).regenerateRecoveryCodes.recoveryCodes?.length, 10)
  assert.equal((await send(gql.DisableSecondFactorDocument, {}, second)).disableSecondFactor.disabled, true)
  await signIn(email)
})

test('an address is changed and taken back; everything is taken along; an erasure is called off', async () => {
  const [before, now] = ['emma@example.com', 'emma@example.net']
  await server.makeUser(before)
  const { token } = await signIn(before)
  await send(gql.ReauthenticateDocument, { input: { password: PASSWORD } }, token)
  await send(gql.RequestEmailChangeDocument, { input: { email: now } }, token)
  await send(gql.ConfirmEmailChangeDocument, { input: { token: await mailed(server, now, '/confirm-email') } }, null)
  await send(gql.RevertEmailChangeDocument, { input: { token: await mailed(server, before, '/revert-email') } }, null)

  const again = await signIn(before)
  await send(gql.ReauthenticateDocument, { input: { password: PASSWORD } }, again.token)
  const { exportMyData } = await send(gql.ExportMyDataDocument, {}, again.token)
  const archive = await fetch(server.url + given(exportMyData.export).path, { headers: { Authorization: `Bearer ${again.token}` } })
  assert.deepEqual([archive.status, archive.headers.get('Content-Type')], [200, 'application/zip'])
  assert.equal(Buffer.from(await archive.arrayBuffer()).subarray(0, 2).toString(), 'PK')
  await send(gql.EraseMyAccountDocument, {}, again.token)
  const { cancelErasure } = await send(gql.CancelErasureDocument, { input: { token: await mailed(server, before, '/cancel-erasure') } }, null)
  assert.equal(cancelErasure.cancelled, true)
  await signIn(before)
})

test('a bank is found, linked by a frontend that catches the redirect, and synced', async () => {
  const { providers } = await send(gql.ProvidersDocument, { category: 'SANDBOX' })
  assert.deepEqual(providers.map(({ slug }) => slug), ['sandbox'])
  assert.equal((await send(gql.ProviderDocument, { slug: 'sandbox' })).provider?.name, 'Sandbox Bank')
  const { beginLink } = await send(gql.BeginLinkDocument, { input: { provider: 'sandbox', returnUrl: 'http://127.0.0.1:5173/back' } })
  const back = await agree(given(beginLink.providerAuthorizationUrl), (url) => url.searchParams.get('code') === null)
  const [state, code] = [given(back.searchParams.get('state')), given(back.searchParams.get('code'))]
  const { completeLink } = await send(gql.CompleteLinkDocument, { input: { state, code } })
  assert.deepEqual([completeLink.link?.id, completeLink.link?.status], [beginLink.link?.id, 'ACTIVE'])

  const linkId = given(completeLink.link).id
  for (const end = Date.now() + 30_000; ; await new Promise((later) => setTimeout(later, 50))) {
    const { viewer } = await send(gql.LinksDocument, { first: 10 })
    const link = given(viewer?.links.edges.find(({ node }) => node.id === linkId)).node
    if (link.lastSync?.status === 'SUCCEEDED' && link.accounts.nodes.length > 0) break
    assert.ok(Date.now() < end, `the first sync is ${link.lastSync?.status}`)
  }
  const { syncLink } = await send(gql.SyncLinkDocument, { input: { linkId, force: true } })
  assert.equal(syncLink.sync?.status, 'QUEUED')
  const { viewer } = await send(gql.ConsentsDocument, { first: 10 })
  assert.ok(viewer?.consents.nodes.some((consent) => consent.linkId === linkId && consent.withdrawnAt === null))

  const { viewer: all } = await send(gql.AccountsDocument, { first: 100, filter: { linkId } })
  const accountIds = given(all).accounts.edges.map(({ node }) => node.id)
  const { updateAccount } = await send(gql.UpdateAccountDocument, { input: { accountId: given(accountIds[0]), type: 'SAVINGS', invertSign: true } })
  assert.deepEqual([updateAccount.account?.type, updateAccount.account?.isSignInverted], ['SAVINGS', true])
  await send(gql.UpdateAccountDocument, { input: { accountId: given(accountIds[0]), type: null, invertSign: false } })
  const { selectAccounts } = await send(gql.SelectAccountsDocument, { input: { linkId, accountIds: accountIds.slice(1) } })
  assert.equal(selectAccounts.link?.accounts.nodes.filter(({ isSelected }) => !isSelected).length, 1)
  await send(gql.SelectAccountsDocument, { input: { linkId, accountIds } })

  const { renameLink } = await send(gql.RenameLinkDocument, { input: { linkId, alias: 'Main bank' } })
  assert.equal(renameLink.link?.alias, 'Main bank')
  const { relink } = await send(gql.RelinkDocument, { input: { linkId, returnUrl: 'http://127.0.0.1:5173/back' } })
  const again = await agree(given(relink.providerAuthorizationUrl), (url) => url.searchParams.get('code') === null)
  const answer = { state: given(again.searchParams.get('state')), code: given(again.searchParams.get('code')) }
  const renewed = (await send(gql.CompleteLinkDocument, { input: answer })).completeLink.link
  assert.deepEqual([renewed?.id, renewed?.status, renewed?.alias], [linkId, 'ACTIVE', 'Main bank'])
  const { unlink } = await send(gql.UnlinkDocument, { input: { linkId, keepData: false } })
  assert.deepEqual([unlink.link?.id, unlink.link?.status], [linkId, 'UNLINKED'])
  const gone = (await send(gql.ConsentsDocument, { first: 10 })).viewer?.consents.nodes.filter((consent) => consent.linkId === linkId)
  assert.ok(gone?.every((consent) => consent.withdrawnAt !== null))
})

test('a provider is linked in its own way and in no other', async () => {
  await isRefused(gql.LinkWithApiKeyDocument, { input: { provider: 'sandbox', key: 'a-key', secret: 'a-secret' } }, 'LINK_METHOD_MISMATCH')
  await isRefused(gql.LinkWithSetupTokenDocument, { input: { provider: 'sandbox', setupToken: 'a-token' } }, 'LINK_METHOD_MISMATCH')
})

test('accounts, transactions and anything by its id are read, and a file is taken in', async () => {
  const { viewer } = await send(gql.AccountsDocument, { first: 100, filter: { isActive: true } })
  const accounts = given(viewer).accounts.edges.map(({ node }) => node)
  const checking = given(accounts.find(({ type }) => type === 'CHECKING'))
  const { account } = await send(gql.AccountDocument, { id: checking.id, first: 2 })
  const [row] = given(account).transactions.edges
  const wealth = await send(gql.WealthDocument, { first: 10, range: { from: '2020-01-01' } })
  assert.ok(given(wealth.viewer).netWorth.length > 0 && given(wealth.viewer).holdings.nodes.every(({ id }) => id.startsWith('hold_')))
  const { transaction } = await send(gql.TransactionDocument, { id: given(row).node.id })
  assert.equal(transaction?.account?.id, checking.id)
  const filter = { types: ['PAYMENT' as const], maxAmount: '-1', accountIds: [checking.id] }
  const spending = await send(gql.TransactionsDocument, { first: 5, filter })
  assert.ok(given(spending.viewer).transactions.edges.every(({ node }) => node.type === 'PAYMENT' && node.amount.amount.startsWith('-')))
  assert.deepEqual((await send(gql.NodeDocument, { id: checking.id })).node?.__typename, 'Account')
  const { nodes } = await send(gql.NodesDocument, { ids: [given(row).node.id, 'acct_nonsense', given(viewer).id] })
  assert.deepEqual(nodes.map((node) => node?.__typename), ['Transaction', undefined, 'User'])
  const { rateLimit } = await send(gql.RateLimitDocument, {})
  assert.ok(rateLimit.cost > 0 && rateLimit.remaining <= rateLimit.limit, JSON.stringify(rateLimit))
  assert.equal(given((await send(gql.ChangesSinceDocument, { first: 10 })).viewer).changes.added.length, 10)
  const content = readFileSync(`${import.meta.dirname}/../../playground/src/sample.ofx`, 'utf8')
  const { importStatement } = await send(gql.ImportStatementDocument, { input: { filename: 'sample.ofx', content } })
  assert.deepEqual([importStatement.import?.accountsCreated, importStatement.import?.problems], [1, []])
  const csv = 'Date;Text;Amount\n31/01/2026;Coffee;-4,50\n'
  const { previewImport } = await send(gql.PreviewImportDocument, {
    input: { filename: 'giro.csv', content: csv, account: { name: 'Giro', type: 'CHECKING', currency: 'EUR' } },
  })
  assert.deepEqual([previewImport.csv?.dateOrder, previewImport.import?.rows[0]?.outcome], ['DAY_MONTH_YEAR', 'NEW'])
  const importId = given(previewImport.import).id
  assert.equal((await send(gql.CommitImportDocument, { input: { importId } })).commitImport.import?.status, 'COMMITTED')
  assert.equal((await send(gql.RevertImportDocument, { input: { importId } })).revertImport.transactionsRemoved, 1)
  const imports = given((await send(gql.ImportsDocument, { first: 10 })).viewer).imports
  assert.deepEqual(imports.edges.map(({ node }) => node.status), ['COMMITTED', 'REVERTED'])
})

test('somebody administers, and finds it on the trail', async () => {
  await server.makeUser('root@example.com', 'admin')
  await server.makeUser('fred@example.com')
  const { token } = await signIn('root@example.com')
  const { users } = await send(gql.UsersDocument, { first: 1, filter: { email: 'fred@example.com' } }, token)
  const userId = given(users.nodes[0]).id
  await send(gql.ReauthenticateDocument, { input: { password: PASSWORD } }, token)
  assert.equal((await send(gql.AssignRoleDocument, { input: { userId, role: 'READONLY' } }, token)).assignRole.user?.role, 'READONLY')
  assert.equal((await send(gql.AssignTierDocument, { input: { userId, tier: 'PLUS', sessionLimit: 3 } }, token)).assignTier.user?.sessionLimit, 3)
  assert.equal((await send(gql.DeactivateUserDocument, { input: { userId } }, token)).deactivateUser.user?.isActive, false)
  assert.equal((await send(gql.ReactivateUserDocument, { input: { userId } }, token)).reactivateUser.user?.isActive, true)
  await send(gql.UnlockUserDocument, { input: { userId } }, token)
  const { rotateTokens } = await send(gql.RotateTokensDocument, { input: { scope: 'USER', userId, reason: 'a lost laptop' } }, token)
  assert.equal(rotateTokens.rotation?.reason, 'a lost laptop')
  assert.equal((await send(gql.SecurityPolicyDocument, {}, token)).securityPolicy.tokenVersion, 1)
  const { auditEvents } = await send(gql.AuditEventsDocument, { first: 50, filter: { userId, outcomes: ['SUCCEEDED'] } }, token)
  const acts = auditEvents.edges.map(({ node }) => node.act)
  for (const act of ['ASSIGN_ROLE', 'ASSIGN_TIER', 'DEACTIVATE_USER', 'REACTIVATE_USER', 'ROTATE_TOKENS'] as const) assert.ok(acts.includes(act), `${act} is not among ${acts}`)
  const mine = await send(gql.MyAuditEventsDocument, { last: 5 }, token)
  assert.ok(given(mine.viewer).auditEvents.nodes.length > 0)
})

test('no document was left out; streams.test.ts sends the subscriptions', () => {
  const all = DOCUMENTS.map(([, document]) => operation(document)).filter((node) => node.operation !== 'subscription').map(({ name }) => String(name?.value))
  assert.deepEqual(all.filter((name) => !sent.has(name)), [])
})
