// Without a client library, and with the smallest one: fetch as anyone would write it, and graphql-request.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { ClientError, GraphQLClient, gql as parse } from 'graphql-request'
import * as gql from './gql/graphql.ts'
import { type Answer, Server } from './server.ts'
import { Session, Wire } from './session.ts'

const server = await Server.start()
after(() => server.stop())
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const authorization = { Authorization: `Bearer ${server.accessToken}` }

test('fetch posts JSON and is answered in the type it accepts', async () => {
  const body = JSON.stringify({ query: 'query Me { viewer { email } }', operationName: 'Me', variables: null, extensions: {} })
  for (const [accept, type] of [
    ['application/graphql-response+json', 'application/graphql-response+json; charset=utf-8'],
    ['application/json', 'application/json; charset=utf-8'],
    ['application/graphql-response+json, application/json;q=0.9', 'application/graphql-response+json; charset=utf-8'],
    ['*/*', 'application/json; charset=utf-8'],
    [undefined, 'application/json; charset=utf-8'],
  ] as const) {
    const headers = { 'Content-Type': 'application/json', ...authorization, ...(accept && { Accept: accept }) }
    const answer = await fetch(server.graphql, { method: 'POST', headers, body })
    assert.deepEqual([answer.status, answer.headers.get('Content-Type')], [200, type], accept)
    const { data, errors } = await answer.json() as Answer
    assert.deepEqual([data, errors], [{ viewer: { email: server.email } }, undefined])
    assert.match(answer.headers.get('X-Trace-Id') ?? '', /^[0-9a-f]{32}$/)
    assert.match(answer.headers.get('traceparent') ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
  }
})

test('fetch gets queries by their address, and no mutations', async () => {
  const get = (query: string, variables: object): Promise<Response> =>
    fetch(`${server.graphql}?${new URLSearchParams({ query, variables: JSON.stringify(variables) })}`, { headers: authorization })
  const answer = await get('query One($slug: String!) { provider(slug: $slug) { name } }', { slug: 'sandbox' })
  assert.deepEqual((await answer.json() as Answer).data, { provider: { name: 'Sandbox Bank' } })
  const refused = await get('mutation { updateProfile(input: { displayName: "by GET" }) { userErrors { code } } }', {})
  assert.equal(refused.status, 405)
  const me = await (await get('{ viewer { displayName } }', {})).json() as Answer
  assert.deepEqual(me.data, { viewer: { displayName: null } })
})

test('graphql-request sends typed documents, and names what goes wrong', async () => {
  const wire = new Wire()
  const client = new GraphQLClient(server.graphql, { headers: authorization, fetch: wire.fetch })
  const { viewer } = await client.request(gql.AccountsDocument, { first: 100 })
  assert.equal(viewer?.accounts.edges.length, viewer?.accounts.totalCount)
  const session = await Session.open(server)
  const { renameSession } = await client.request(gql.RenameSessionDocument, { input: { sessionId: session.id, name: 'graphql-request' } })
  assert.equal(renameSession.session?.name, 'graphql-request')
  const codes = (error: unknown): unknown => error instanceof ClientError && error.response.errors?.map(({ extensions }) => extensions?.code)
  const nobody = new GraphQLClient(server.graphql)
  await assert.rejects(nobody.request(gql.AccountDocument, { id: 'acct_x' }), (error) => { assert.deepEqual(codes(error), ['UNAUTHENTICATED']); return true })
  await assert.rejects(nobody.request(parse`{ veiwer { id } }`), (error) => { assert.deepEqual(codes(error), ['GRAPHQL_VALIDATION_FAILED']); return true })
})

test('graphql-request asks by GET where it is told so', async () => {
  const wire = new Wire()
  const client = new GraphQLClient(server.graphql, { headers: authorization, fetch: wire.fetch, method: 'GET', jsonSerializer: JSON })
  const { providers } = await client.request(gql.ProvidersDocument, { category: 'SANDBOX' })
  assert.equal(providers.length, 1)
  assert.deepEqual(wire.requests.map(({ method }) => method), ['GET'])
})

test('what comes in batches is refused as one, and nothing of it is done', async () => {
  const session = await Session.open(server)
  const client = new GraphQLClient(server.graphql, { headers: authorization })
  const documents = ['one', 'two'].map((name) => ({
    document: parse`mutation($input: RenameSessionInput!) { renameSession(input: $input) { userErrors { code } } }`,
    variables: { input: { sessionId: session.id, name } },
  }))
  await assert.rejects(client.batchRequests(documents), ClientError)
  const { viewer } = await client.request(gql.SessionsDocument, { last: 100 })
  assert.equal(viewer?.sessions.edges.find(({ node }) => node.id === session.id)?.node.name, null)
})

test('a document kept by its hash is found by it, and under no other', async () => {
  const query = 'query Kept { viewer { email } }'
  const post = async (body: object): Promise<{ data?: unknown; errors?: { message: string; extensions: { code: string } }[] }> => {
    const headers = { 'Content-Type': 'application/json', Accept: 'application/graphql-response+json', ...authorization }
    return await (await fetch(server.graphql, { method: 'POST', headers, body: JSON.stringify(body) })).json() as never
  }
  const by = (hash: string): object => ({ extensions: { persistedQuery: { version: 1, sha256Hash: hash } } })
  const unknown = await post(by(sha256(query)))
  assert.deepEqual([unknown.errors?.[0]?.message, unknown.errors?.[0]?.extensions.code], ['PersistedQueryNotFound', 'PERSISTED_QUERY_NOT_FOUND'])
  const forged = await post({ query, ...by(sha256('another document')) })
  assert.equal(forged.data, undefined)
  assert.equal((await post(by(sha256('another document')))).errors?.[0]?.extensions.code, 'PERSISTED_QUERY_NOT_FOUND')
  assert.deepEqual((await post({ query, ...by(sha256(query)) })).data, { viewer: { email: server.email } })
  assert.deepEqual((await post(by(sha256(query)))).data, { viewer: { email: server.email } })
})

test('documents of a build are asked by the ids of its manifest', async () => {
  const manifest = `${import.meta.dirname}/gql/masked/persisted-documents.json`
  const trusting = await Server.start({ DASHTAM_DOCUMENTS__MANIFEST: manifest })
  try {
    const documents = Object.entries(JSON.parse(readFileSync(manifest, 'utf8')) as Record<string, string>)
    const [id] = documents.find(([, text]) => text.includes('query Viewer '))!
    const by = async (documentId: string): Promise<Response> => fetch(trusting.graphql, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/graphql-response+json', Authorization: `Bearer ${trusting.accessToken}` },
      body: JSON.stringify({ documentId }),
    })
    const { data } = await (await by(id)).json() as { data: gql.ViewerQuery }
    assert.equal(data.viewer?.email, trusting.email)
    const unknown = await (await by(id.replace(/.{4}$/, '0000'))).json() as { errors: { extensions: { code: string } }[] }
    assert.equal(unknown.errors[0]?.extensions.code, 'PERSISTED_QUERY_NOT_FOUND')
  } finally {
    await trusting.stop()
  }
})
