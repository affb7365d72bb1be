// Relay: what its compiler made of relay/AccountPage.ts, run by its store against a server that trusts its manifest, so by ids alone.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Environment, type FragmentType, type GraphQLTaggedNode, Network, RecordSource, Store, commitMutation, fetchQuery, getSelector } from 'relay-runtime'
import PaginationQuery from './relay/__generated__/AccountPagePaginationQuery.graphql.ts'
import LinkQuery from './relay/__generated__/AccountPageLinkQuery.graphql.ts'
import PageQuery from './relay/__generated__/AccountPageQuery.graphql.ts'
import RenameMutation from './relay/__generated__/AccountPageRenameMutation.graphql.ts'
import ViewerQuery from './relay/__generated__/AccountPageViewerQuery.graphql.ts'
import AccountFragment from './relay/__generated__/AccountPage_account.graphql.ts'
import RowFragment from './relay/__generated__/AccountPage_row.graphql.ts'
import type { AccountPage_account$data } from './relay/__generated__/AccountPage_account.graphql.ts'
import type { AccountPage_row$data } from './relay/__generated__/AccountPage_row.graphql.ts'
import { Server, ask } from './server.ts'
import { Session } from './session.ts'

const server = await Server.start({ DASHTAM_DOCUMENTS__MANIFEST: `${import.meta.dirname}/relay/__generated__/persisted-documents.json` })
after(() => server.stop())
const session = await Session.open(server)
const { data } = await ask(server, '{ viewer { id accounts(first: 1) { nodes { id } } links(first: 1) { nodes { id } } } }', {}, session.accessToken)
const [user, account, link]: string[] = [data.viewer.id, data.viewer.accounts.nodes[0].id, data.viewer.links.nodes[0].id]

function environment(): Environment {
  const network = Network.create(async ({ id, text }, variables) => {
    assert.deepEqual([typeof id, text], ['string', null], 'the compiler left a text in its artifact')
    const headers = { 'Content-Type': 'application/json', Accept: 'application/graphql-response+json', Authorization: `Bearer ${session.accessToken}` }
    const body = JSON.stringify({ documentId: id, variables })
    return await (await fetch(server.graphql, { method: 'POST', headers, body })).json() as never
  })
  return new Environment({ network, store: new Store(new RecordSource()) })
}

/** What a component with this fragment would be given. */
function seen<Data>(of: Environment, fragment: GraphQLTaggedNode, reference: unknown): Data {
  const selector = getSelector(fragment as never, reference as FragmentType)
  assert.ok(selector?.kind === 'SingularReaderSelector')
  const { data, isMissingData } = of.lookup(selector)
  assert.equal(isMissingData, false)
  return data as Data
}

test('a page is read through node(id:), and refetching puts the next ones into its connection', async () => {
  const relay = environment()
  const page = await fetchQuery(relay, PageQuery as never, { id: account }).toPromise() as { node: { __typename: string; account: unknown } }
  assert.equal(page.node.__typename, 'Account')
  const shown = (): AccountPage_account$data => seen(relay, AccountFragment, page.node.account)
  for (const count of [30, 40]) {
    const { edges, pageInfo } = shown().transactions
    await fetchQuery(relay, PaginationQuery as never, { id: account, count, cursor: pageInfo.endCursor }).toPromise()
    assert.equal(shown().transactions.edges.length, edges.length + count)
  }
  const ids = shown().transactions.edges.map(({ node }) => node.id)
  assert.deepEqual([ids.length, new Set(ids).size, shown().transactions.pageInfo.hasNextPage], [80, 80, true])
  const row: AccountPage_row$data = seen(relay, RowFragment, shown().transactions.edges[0]!.node)
  assert.match(row.amount.amount, /^-?\d+\.\d\d$/)
})

test('whatever is a node is refetched by its id', async () => {
  const relay = environment()
  for (const [query, id] of [[ViewerQuery, user], [LinkQuery, link]] as const) {
    const { node } = await fetchQuery(relay, query as never, { id }).toPromise() as { node: object | null }
    assert.notEqual(node, null)
  }
})

test('a mutation changes the record it answers', async () => {
  const relay = environment()
  const answer = await new Promise<{ renameSession: { userErrors: object[] } }>((onCompleted, onError) => {
    commitMutation(relay, { mutation: RenameMutation as never, variables: { input: { sessionId: session.id, name: 'Relay' } }, onCompleted: onCompleted as never, onError })
  })
  assert.deepEqual(answer.renameSession.userErrors, [])
  assert.equal(relay.getStore().getSource().get(session.id)?.name, 'Relay')
})
