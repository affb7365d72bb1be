// urql with its normalised cache, as its guides set it up.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { type AnyVariables, Client, CombinedError, type DocumentInput, type Exchange, type OperationContext, fetchExchange, mapExchange } from '@urql/core'
import { authExchange } from '@urql/exchange-auth'
import { cacheExchange } from '@urql/exchange-graphcache'
import { relayPagination } from '@urql/exchange-graphcache/extras'
import { persistedExchange } from '@urql/exchange-persisted'
import { minifyIntrospectionQuery } from '@urql/introspection'
import { introspectionFromSchema } from 'graphql'
import * as gql from './gql/graphql.ts'
import { schema, withoutId } from './schema.ts'
import { Server } from './server.ts'
import { Session, Wire } from './session.ts'

const server = await Server.start()
after(() => server.stop())

/** Whatever the cache complains of: a type it cannot place, a field it does not know. */
const complaints: string[] = []
const cache = (): Exchange => cacheExchange({
  schema: minifyIntrospectionQuery(introspectionFromSchema(schema)) as never,
  keys: withoutId,
  resolvers: { User: { transactions: relayPagination() }, Account: { transactions: relayPagination() } },
  logger: (severity, message) => { if (severity !== 'debug') complaints.push(message) },
})

/** A token that does not count is said beside an answer as nobody's; here it becomes an error, which is what the next exchange looks for. */
const staleness = mapExchange({
  onResult: (result) => {
    const said = result.extensions?.authentication
    return said === undefined ? undefined : { ...result, error: new CombinedError({ graphQLErrors: [{ message: said, extensions: { code: 'UNAUTHENTICATED' } }] }) }
  },
})

const authentication = (session: Session): Exchange => authExchange(async ({ appendHeaders }) => ({
  addAuthToOperation: (operation) => appendHeaders(operation, { Authorization: `Bearer ${session.accessToken}` }),
  didAuthError: (error) => error.graphQLErrors.some(({ extensions }) => extensions.code === 'UNAUTHENTICATED'),
  refreshAuth: async () => void await session.renew(),
}))

async function signedIn(...exchanges: Exchange[]): Promise<{ client: Client; session: Session; wire: Wire }> {
  const [session, wire] = [await Session.open(server), new Wire()]
  const all = [cache(), authentication(session), staleness, ...exchanges, fetchExchange]
  return { session, wire, client: new Client({ url: server.graphql, fetch: wire.fetch, preferGetMethod: false, exchanges: all }) }
}

/** The data; a fault fails the test. */
async function read<Data, Variables extends AnyVariables>(
  client: Client, document: DocumentInput<Data, Variables>, variables: Variables, context?: Partial<OperationContext>,
): Promise<Data> {
  const { data, error } = await client.query(document, variables, context).toPromise()
  assert.equal(error, undefined)
  assert.ok(data !== undefined)
  return data
}

test('Graphcache, which knows the schema, places everything without a word', async () => {
  const { client, wire, session } = await signedIn()
  const { viewer } = await read(client, gql.AccountsDocument, { first: 10 })
  const id = viewer!.accounts.edges[0]!.node.id
  await read(client, gql.AccountDocument, { id, first: 2 })
  await read(client, gql.NodeDocument, { id })
  await read(client, gql.LinksDocument, { first: 5 })
  const sessions = await read(client, gql.SessionsDocument, { last: 100 })
  assert.equal(sessions.viewer?.sessions.edges.find(({ node }) => node.id === session.id)?.node.name, null)
  wire.clear()
  const { data, error } = await client.mutation(gql.RenameSessionDocument, { input: { sessionId: session.id, name: 'urql' } }).toPromise()
  assert.deepEqual([error, data?.renameSession.userErrors], [undefined, []])
  const renamed = await read(client, gql.SessionsDocument, { last: 100 }, { requestPolicy: 'cache-only' })
  assert.equal(renamed.viewer?.sessions.edges.find(({ node }) => node.id === session.id)?.node.name, 'urql')
  assert.deepEqual(wire.requests.map(({ body }) => body?.operationName), ['RenameSession'])
  assert.deepEqual(complaints, [])
})

test('relayPagination puts the pages together', async () => {
  const { client, wire } = await signedIn()
  const filter = { types: ['TRANSFER' as const] }
  let after: string | null = null
  let edges: { node: { id: string; postedOn: string } }[] = []
  for (let page = 1; page === 1 || after !== null; page += 1) {
    const answer: gql.TransactionsQuery = await read(client, gql.TransactionsDocument, { first: 50, filter, ...(after !== null && { after }) })
    const shown: NonNullable<gql.TransactionsQuery['viewer']>['transactions'] = answer.viewer!.transactions
    edges = shown.edges
    after = shown.pageInfo.hasNextPage ? shown.pageInfo.endCursor : null
    assert.equal(edges.length, after === null ? shown.totalCount : page * 50)
  }
  assert.ok(edges.length > 100)
  assert.equal(new Set(edges.map(({ node }) => node.id)).size, edges.length)
  assert.deepEqual(edges.map(({ node }) => node.postedOn), edges.map(({ node }) => node.postedOn).toSorted().reverse())
  assert.equal(wire.requests.length, Math.ceil(edges.length / 50))
})

test('urql renews a token that stopped working, once, and asks again', async () => {
  const { client, session } = await signedIn()
  session.spoil()
  const [me, all] = await Promise.all([read(client, gql.ViewerDocument, {}), read(client, gql.AccountsDocument, { first: 3 })])
  assert.equal(session.renewals, 1)
  assert.equal(me.viewer?.email, server.email)
  assert.equal(all.viewer?.accounts.edges.length, 3)
})

test('urql tells faults by their code', async () => {
  const { client } = await signedIn()
  const { error } = await client.query(gql.UsersDocument, { first: 1 }).toPromise()
  assert.deepEqual(error?.graphQLErrors.map(({ extensions }) => extensions.code), ['FORBIDDEN'])
  const misspelt = await client.query('query Misspelt { veiwer { id } }', {}).toPromise()
  assert.deepEqual(misspelt.error?.graphQLErrors.map(({ extensions }) => extensions.code), ['GRAPHQL_VALIDATION_FAILED'])
})

test('urql asks by hash with GET, and sends the document once', async () => {
  const { client, wire } = await signedIn(persistedExchange({ preferGetForPersistedQueries: 'force' }))
  await read(client, gql.ViewerDocument, {})
  assert.deepEqual(wire.requests.map(({ method, url, body }) => [method, url.searchParams.has('query') || body?.query !== undefined]), [['GET', false], ['GET', true]])
  wire.clear()
  await read(client, gql.ViewerDocument, {}, { requestPolicy: 'network-only' })
  assert.deepEqual(wire.requests.map(({ method, url }) => [method, url.searchParams.has('query')]), [['GET', false]])
})
