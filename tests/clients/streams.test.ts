// Subscriptions, by the clients people have: graphql-ws and graphql-sse, alone and inside of Apollo Client and urql.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { ApolloClient, InMemoryCache, gql as parse } from '@apollo/client'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { Client, subscriptionExchange } from '@urql/core'
import { type ExecutionResult, buildSchema } from 'graphql'
import { type Client as SseClient, createClient as createSseClient } from 'graphql-sse'
import { type Client as WsClient, createClient as createWsClient } from 'graphql-ws'
import WebSocket from 'ws'
import { PASSWORD, Server, ask } from './server.ts'
import { Session } from './session.ts'

const schema = buildSchema(readFileSync(`${import.meta.dirname}/../../schema.graphql`, 'utf8'))
const skip = schema.getSubscriptionType() == null && 'the schema has no subscriptions yet'
const SAMPLE = readFileSync(`${import.meta.dirname}/../../playground/src/sample.ofx`, 'utf8')

const server = await Server.start()
after(() => server.stop())

/** What a subscription brings, until it ends or is left. */
type Stream = AsyncIterableIterator<ExecutionResult<Record<string, any>>>
type Subscribe = (query: string, variables?: Record<string, unknown>) => Stream
interface Sink { next: (value: ExecutionResult<Record<string, any>>) => void; error: (problem: unknown) => void; complete: () => void }

/** What comes in by calls, to be taken one by one. */
function iterate(begin: (sink: Sink) => () => void): Stream {
  const waiting: ({ value: ExecutionResult<Record<string, any>> } | { problem: unknown } | null)[] = []
  let wake = (): void => {}
  const put = (item: (typeof waiting)[number]): void => { waiting.push(item); wake() }
  const end = begin({ next: (value) => put({ value }), error: (problem) => put({ problem }), complete: () => put(null) })
  async function* taken(): AsyncGenerator<ExecutionResult<Record<string, any>>> {
    try {
      for (;;) {
        while (waiting.length === 0) await new Promise<void>((resolve) => { wake = resolve })
        const item = waiting.shift()
        if (item === null || item === undefined) return
        if ('problem' in item) throw item.problem
        yield item.value
      }
    } finally {
      end()
    }
  }
  return taken()
}

const address = `${server.url.replace('http', 'ws')}/graphql/ws`

function overWs(session: Session, closed: (code: number) => void = () => {}): WsClient {
  return createWsClient({
    url: address,
    webSocketImpl: WebSocket,
    connectionParams: () => ({ Authorization: `Bearer ${session.accessToken}` }),
    retryAttempts: 0,
    on: { closed: (event) => closed((event as { code: number }).code) },
  })
}

function overSse(session: Session): SseClient {
  return createSseClient({ url: `${server.graphql}/stream`, headers: () => ({ Authorization: `Bearer ${session.accessToken}` }), retryAttempts: 0 })
}

const CLIENTS: Record<string, (session: Session) => Subscribe> = {
  'graphql-ws': (session) => {
    const client = overWs(session)
    return (query, variables = {}) => client.iterate({ query, variables }) as Stream
  },
  'graphql-sse': (session) => {
    const client = overSse(session)
    return (query, variables = {}) => client.iterate({ query, variables }) as Stream
  },
  'Apollo Client over graphql-ws': (session) => {
    const client = new ApolloClient({ cache: new InMemoryCache(), link: new GraphQLWsLink(overWs(session)) })
    return (query, variables = {}) => iterate((sink) => {
      const subscription = client.subscribe({ query: parse(query), variables }).subscribe({
        next: ({ data, error }) => { if (error === undefined) sink.next({ data: data as Record<string, any> }); else sink.error(error) },
        error: sink.error,
        complete: sink.complete,
      })
      return () => subscription.unsubscribe()
    })
  },
  'urql over graphql-sse': (session) => {
    const sse = overSse(session)
    const forward = subscriptionExchange({
      forwardSubscription: ({ query, variables }) => ({
        subscribe: (sink) => ({ unsubscribe: sse.subscribe({ query: query ?? '', ...(variables && { variables: variables as Record<string, unknown> }) }, sink as never) }),
      }),
    })
    const client = new Client({ url: server.graphql, preferGetMethod: false, exchanges: [forward] })
    return (query, variables = {}) => iterate((sink) => {
      const { unsubscribe } = client.subscription(query, variables).subscribe(({ data, error }) => {
        if (error === undefined) sink.next({ data: data as Record<string, any> })
        else sink.error(error)
      })
      return unsubscribe
    })
  },
}

const CHANGES = `subscription Changes($after: String) {
  changes(after: $after) { added { __typename id } modified { __typename id } removed endCursor hasNextPage }
}`
const IMPORT = 'mutation($input: ImportStatementInput!) { importStatement(input: $input) { import { transactionsCreated } userErrors { code } } }'

/** Takes a statement of a bank account of its own in; answers how many transactions came. */
async function importFile(session: Session, account: string): Promise<number> {
  const content = SAMPLE.replace(/<ACCTID>[^<\r\n]*/g, `<ACCTID>${account}`)
  assert.notEqual(content, SAMPLE)
  const { data } = await ask(server, IMPORT, { input: { filename: `${account}.ofx`, content } }, session.accessToken)
  assert.deepEqual(data.importStatement.userErrors, [])
  return data.importStatement.import.transactionsCreated
}

/** Reads until so many transactions were added, and leaves; answers their ids and where to go on. */
async function added(stream: Stream, count: number): Promise<{ ids: string[]; cursor: string }> {
  const ids: string[] = []
  for await (const { data, errors } of stream) {
    assert.equal(errors, undefined)
    ids.push(...data!.changes.added.filter(({ __typename }: { __typename: string }) => __typename === 'Transaction').map(({ id }: { id: string }) => id))
    if (ids.length >= count) return { ids, cursor: data!.changes.endCursor }
  }
  throw new Error(`the stream ended after ${ids.length} transactions`)
}

let users = 0
async function somebody(): Promise<Session> {
  const email = `reader-${users += 1}@example.com`
  await server.makeUser(email)
  return Session.open(server, email, PASSWORD)
}

for (const [name, client] of Object.entries(CLIENTS)) {
  test(`${name} hears what changes, and goes on where it had ended`, { skip, timeout: 30_000 }, async () => {
    const session = await somebody()
    const { data } = await ask(server, '{ viewer { changes(first: 1) { latestCursor } } }', {}, session.accessToken)
    const subscribe = client(session)
    const first = added(subscribe(CHANGES, { after: data.viewer.changes.latestCursor }), 3)
    assert.equal(await importFile(session, '1111'), 3)
    const { ids, cursor } = await first
    assert.equal(ids.length, 3)
    // Nobody listens meanwhile.
    assert.equal(await importFile(session, '2222'), 3)
    const rest = await added(subscribe(CHANGES, { after: cursor }), 3)
    assert.deepEqual([rest.ids.length, new Set([...ids, ...rest.ids]).size], [3, 6])
  })
}

for (const [name, client] of Object.entries(CLIENTS)) {
  test(`${name} watches a sync to its end`, { skip, timeout: 30_000 }, async () => {
    const session = await Session.open(server)
    const { data } = await ask(server, '{ viewer { links(first: 1) { nodes { id } } } }', {}, session.accessToken)
    const linkId = data.viewer.links.nodes[0].id
    const progress = client(session)('subscription($linkId: ID!) { syncProgress(linkId: $linkId) { __typename } }', { linkId })
    const updates = client(session)('subscription($linkId: ID) { linkUpdated(linkId: $linkId) { id lastSync { id status } } }', { linkId })
    const stepped = progress.next()
    let update = updates.next()
    // Both are on their way to the server before the sync is.
    await new Promise((later) => setTimeout(later, 500))
    const asked = await ask(server, 'mutation($linkId: ID!) { syncLink(input: { linkId: $linkId, force: true }) { sync { id } userErrors { code } } }', { linkId }, session.accessToken)
    assert.deepEqual(asked.data.syncLink.userErrors, [])
    assert.equal((await stepped).value.data.syncProgress.__typename, 'SyncProgress')
    await progress.return?.()
    for (;; update = updates.next()) {
      const { id, lastSync } = (await update).value.data.linkUpdated
      assert.equal(id, linkId)
      if (lastSync.id === asked.data.syncLink.sync.id && lastSync.status === 'SUCCEEDED') break
    }
    await updates.return?.()
  })
}

test('graphql-ws comes back by itself when the line is cut, and misses nothing', { skip, timeout: 30_000 }, async () => {
  const session = await somebody()
  const sockets: WebSocket[] = []
  class Line extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols)
      sockets.push(this)
    }
  }
  const client = createWsClient({
    url: address,
    webSocketImpl: Line,
    connectionParams: () => ({ Authorization: `Bearer ${session.accessToken}` }),
    retryWait: () => new Promise((later) => setTimeout(later, 50)),
  })
  const { data } = await ask(server, '{ viewer { changes(first: 1) { latestCursor } } }', {}, session.accessToken)
  const stream = client.iterate({ query: CHANGES, variables: { after: data.viewer.changes.latestCursor } }) as Stream
  const ids = new Set<string>()
  const hears = async (count: number): Promise<void> => {
    while (ids.size < count) {
      const { added } = (await stream.next()).value.data.changes
      for (const { __typename, id } of added) if (__typename === 'Transaction') ids.add(id)
    }
  }
  const first = hears(3)
  await importFile(session, '3333')
  await first
  sockets[0]!.terminate()
  await importFile(session, '4444')
  await hears(6)
  await stream.return?.()
  assert.equal(sockets.length, 2)
})

test('whoever ends a session is told so, and the ended one hears no more', { skip, timeout: 30_000 }, async () => {
  const email = `reader-${users += 1}@example.com`
  await server.makeUser(email)
  const [here, there] = [await Session.open(server, email, PASSWORD), await Session.open(server, email, PASSWORD)]
  const codes: number[] = []
  const ending = overWs(there, (code) => codes.push(code)).iterate({ query: CHANGES })
  const ended = assert.rejects(ending.next().then(() => ending.next()))
  const told = overSse(here).iterate({ query: 'subscription { sessionRevoked { id revocationReason } }' })
  const telling = told.next()
  await new Promise((later) => setTimeout(later, 500))
  const revoked = await ask(server, 'mutation($id: ID!) { revokeSession(input: { sessionId: $id }) { userErrors { code } } }', { id: there.id }, here.accessToken)
  assert.deepEqual(revoked.data.revokeSession.userErrors, [])
  const { data } = (await telling).value as ExecutionResult<Record<string, any>>
  assert.deepEqual(data, { sessionRevoked: { id: there.id, revocationReason: 'REQUESTED' } })
  await told.return?.()
  await ended
  assert.deepEqual(codes, [4401])
})

test('nobody hears anything', { skip, timeout: 30_000 }, async () => {
  const session = await somebody()
  session.spoil()
  const codes: number[] = []
  await assert.rejects(overWs(session, (code) => codes.push(code)).iterate({ query: CHANGES }).next())
  assert.deepEqual(codes, [4403])
  const refused = await overSse(session).iterate({ query: CHANGES }).next().then(({ value }) => value.errors?.[0]?.extensions?.code, () => 'UNAUTHENTICATED')
  assert.equal(refused, 'UNAUTHENTICATED')
})

test('queries and mutations go over the socket as well', { skip, timeout: 30_000 }, async () => {
  const session = await somebody()
  const client = overWs(session)
  const asked = async (query: string): Promise<ExecutionResult<Record<string, any>>> => (await client.iterate({ query }).next()).value
  assert.deepEqual((await asked('mutation { updateProfile(input: { displayName: "Socket" }) { user { displayName } } }')).data, { updateProfile: { user: { displayName: 'Socket' } } })
  assert.deepEqual((await asked('{ viewer { displayName } }')).data, { viewer: { displayName: 'Socket' } })
})
