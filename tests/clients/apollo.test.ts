// Apollo Client 4 as its guides set it up.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, test } from 'node:test'
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql as parse } from '@apollo/client'
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries'
import { relayStylePagination } from '@apollo/client/utilities'
import { filter as only, firstValueFrom, from, of, switchMap } from 'rxjs'
import * as gql from './gql/graphql.ts'
import { possibleTypes } from './schema.ts'
import { Server } from './server.ts'
import { Session, Wire } from './session.ts'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

const server = await Server.start()
after(() => server.stop())

function cache(): InMemoryCache {
  return new InMemoryCache({
    possibleTypes,
    typePolicies: { User: { fields: { transactions: relayStylePagination(['filter']) } }, Account: { fields: { transactions: relayStylePagination(['filter']) } } },
  })
}

/** Puts the token in, and where the server says that it did not count, renews it and asks once more. */
function authentication(session: Session): ApolloLink {
  return new ApolloLink((operation, forward) => {
    const send = (token: string): ReturnType<typeof forward> => {
      operation.setContext({ headers: { Authorization: `Bearer ${token}` } })
      return forward(operation)
    }
    return send(session.accessToken).pipe(switchMap((result) => {
      const didNotCount = result.extensions?.authentication !== undefined
      return didNotCount ? from(session.renew()).pipe(switchMap(send)) : of(result)
    }))
  })
}

interface Made { client: ApolloClient; wire: Wire; session: Session }

async function signedIn(...links: ApolloLink[]): Promise<Made> {
  const [session, wire] = [await Session.open(server), new Wire()]
  const http = new HttpLink({ uri: server.graphql, fetch: wire.fetch })
  return { session, wire, client: new ApolloClient({ cache: cache(), link: ApolloLink.from([...links, authentication(session), http]) }) }
}

test('Apollo keeps one copy of a thing, however it was come by', async () => {
  const { client, wire } = await signedIn()
  const { data: list } = await client.query({ query: gql.AccountsDocument, variables: { first: 10 } })
  const id = list!.viewer!.accounts.edges[0]!.node.id
  await client.query({ query: gql.AccountDocument, variables: { id, first: 2 } })
  const { data: any } = await client.query({ query: gql.NodeDocument, variables: { id } })
  assert.equal(any?.node?.__typename, 'Account')
  const kept = client.cache.extract() as Record<string, { name?: string }>
  assert.equal(Object.keys(kept).filter((key) => key.includes(id)).length, 1)
  assert.equal(kept[`Account:${id}`]?.name, list!.viewer!.accounts.edges[0]!.node.name)
  // Whatever has an id stands by itself, and nothing is asked for twice.
  for (const name of ['User', 'Account', 'Link', 'Transaction']) assert.ok(Object.keys(kept).some((key) => key.startsWith(`${name}:`)), `no ${name} by itself`)
  wire.clear()
  await client.query({ query: gql.AccountsDocument, variables: { first: 10 } })
  assert.equal(wire.requests.length, 0)
})

test('Apollo shows what a mutation answered wherever the thing is watched', async () => {
  const { client, wire, session } = await signedIn()
  const watched = client.watchQuery({ query: gql.SessionsDocument, variables: { last: 100 } })
  const names: (string | null | undefined)[] = []
  const watching = watched.subscribe(({ data, dataState }) => {
    if (dataState === 'complete') names.push(data.viewer?.sessions.edges.find(({ node }) => node.id === session.id)?.node.name)
  })
  await firstValueFrom(watched.pipe(only(({ dataState }) => dataState === 'complete')))
  wire.clear()
  await client.mutate({ mutation: gql.RenameSessionDocument, variables: { input: { sessionId: session.id, name: 'Apollo' } } })
  await firstValueFrom(watched.pipe(only(() => names.includes('Apollo'))))
  watching.unsubscribe()
  assert.deepEqual(names, [null, 'Apollo'])
  assert.deepEqual(wire.requests.map(({ body }) => body?.operationName), ['RenameSession'])
})

test('Apollo fetches on and on, and has every transaction once and in order', async () => {
  const { client, wire } = await signedIn()
  const watched = client.watchQuery({ query: gql.TransactionsDocument, variables: { first: 50, filter: { types: ['TRANSFER'] } } })
  const watching = watched.subscribe({})
  await firstValueFrom(watched.pipe(only(({ dataState }) => dataState === 'complete')))
  const shown = (): NonNullable<gql.TransactionsQuery['viewer']>['transactions'] => {
    const { data, dataState } = watched.getCurrentResult()
    assert.ok(dataState === 'complete' && data.viewer)
    return data.viewer.transactions
  }
  for (let page = 1; shown().pageInfo.hasNextPage; page += 1) {
    assert.equal(shown().edges.length, page * 50)
    await watched.fetchMore({ variables: { after: shown().pageInfo.endCursor } })
    // What came is shown a moment later.
    await firstValueFrom(watched.pipe(only(() => shown().edges.length > page * 50)))
  }
  const rows = shown().edges.map(({ node }) => node)
  watching.unsubscribe()
  assert.ok(rows.length > 100 && rows.length === shown().totalCount, `${rows.length} of ${shown().totalCount}`)
  assert.equal(new Set(rows.map(({ id }) => id)).size, rows.length)
  assert.deepEqual(rows.map(({ postedOn }) => postedOn), rows.map(({ postedOn }) => postedOn).toSorted().reverse())
  assert.equal(wire.requests.length, Math.ceil(rows.length / 50))
  // Another filter is another list.
  const { data } = await client.query({ query: gql.TransactionsDocument, variables: { first: 5, filter: { types: ['INCOME'] } } })
  const others = data?.viewer?.transactions.edges ?? []
  assert.ok(others.length === 5 && others.every(({ node }) => node.type === 'INCOME'))
})

test('Apollo renews a token that stopped working, once for all that ask, and asks again', async () => {
  const { client, session } = await signedIn()
  const { data } = await client.query({ query: gql.AccountsDocument, variables: { first: 2 } })
  const ids = data!.viewer!.accounts.edges.map(({ node }) => node.id)
  session.spoil()
  const answers = await Promise.all([
    client.query({ query: gql.ViewerDocument }),
    ...ids.map((id) => client.query({ query: gql.AccountDocument, variables: { id, first: 1 } })),
    client.mutate({ mutation: gql.RenameSessionDocument, variables: { input: { sessionId: session.id, name: 'Apollo' } } }),
  ])
  assert.equal(session.renewals, 1)
  assert.ok(answers.every(({ error, data }) => error === undefined && data !== undefined))
})

test('Apollo tells faults by their code, and keeps what was answered beside them', async () => {
  const nobody = new ApolloClient({ cache: cache(), link: new HttpLink({ uri: server.graphql }) })
  const codes = (error: unknown): unknown[] => {
    assert.ok(CombinedGraphQLErrors.is(error), String(error))
    return error.errors.map(({ extensions }) => extensions?.code)
  }
  const { data, error } = await nobody.query({ query: parse('query Half { viewer { id } account(id: "acct_x") { id } }'), errorPolicy: 'all' })
  assert.deepEqual(codes(error), ['UNAUTHENTICATED'])
  assert.deepEqual(data, { viewer: null, account: null })
  await assert.rejects(nobody.query({ query: parse('query Misspelt { veiwer { id } }') }), (thrown) => codes(thrown)[0] === 'GRAPHQL_VALIDATION_FAILED')
  const { client } = await signedIn()
  await assert.rejects(client.query({ query: gql.UsersDocument, variables: { first: 1 } }), (thrown) => codes(thrown)[0] === 'FORBIDDEN')
  await assert.rejects(client.query({ query: gql.AccountsDocument, variables: { first: 101 } }), (thrown) => codes(thrown)[0] === 'BAD_USER_INPUT')
})

test('Apollo asks by hash with GET, sends the document once, and never again', async () => {
  const { client, wire, session } = await signedIn(new PersistedQueryLink({ sha256, useGETForHashedQueries: true }))
  const ask = (): Promise<unknown> => client.query({ query: gql.ViewerDocument, fetchPolicy: 'network-only' })
  await ask()
  assert.deepEqual(wire.requests.map(({ method, body }) => [method, body?.query !== undefined]), [['GET', false], ['POST', true]])
  wire.clear()
  await ask()
  assert.deepEqual(wire.requests.map(({ method, url }) => [method, url.searchParams.has('query')]), [['GET', false]])
  // Mutations go by POST, and a document one user has sent is known to another one's client.
  wire.clear()
  await client.mutate({ mutation: gql.RenameSessionDocument, variables: { input: { sessionId: session.id, name: 'Apollo' } } })
  assert.ok(wire.requests.every(({ method }) => method === 'POST'))
  const another = await signedIn(new PersistedQueryLink({ sha256, useGETForHashedQueries: true }))
  await another.client.query({ query: gql.ViewerDocument })
  assert.deepEqual(another.wire.requests.map(({ method }) => method), ['GET'])
})
