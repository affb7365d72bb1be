// A frontend that keeps a copy and follows `User.changes`, as the guide on live updates says.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { PASSWORD, Server, ask } from './server.ts'
import { Session } from './session.ts'

const SAMPLE = readFileSync(`${import.meta.dirname}/../../playground/src/sample.ofx`, 'utf8')

const server = await Server.start()
after(() => server.stop())

const ROW = `fragment Row on Node {
  __typename
  id
  ... on Link { status alias lastSync { id status } }
  ... on Account { name balances { current { amount currency } } link { id } }
  ... on Holding { quantity account { id } }
  ... on Transaction { postedOn status description amount { amount currency } account { id } }
}`
const CHANGES = `query($after: String) {
  viewer { changes(after: $after, first: 40) { added { ...Row } modified { ...Row } removed endCursor hasNextPage resetRequired } }
} ${ROW}`
const lists = (field: string): string => `query($after: String) {
  viewer { list: ${field}(first: 100, after: $after) { nodes { ...Row } pageInfo { hasNextPage endCursor } } }
} ${ROW}`

interface Row { __typename: string; id: string; account?: { id: string }; link?: { id: string } }

/** What a frontend keeps: its rows by their ids, and where to go on. */
class Copy {
  readonly rows = new Map<string, Row>()
  cursor: string | null = null

  /** Applies page after page until there is nothing more; answers how many rows came or changed. */
  async follow(session: Session): Promise<number> {
    for (let count = 0; ; ) {
      const { data, errors } = await ask(server, CHANGES, { after: this.cursor }, session.accessToken)
      assert.equal(errors, undefined)
      const { added, modified, removed, endCursor, hasNextPage, resetRequired } = data.viewer.changes
      assert.equal(resetRequired, false)
      for (const row of [...added, ...modified] as Row[]) {
        // A row comes after what it belongs to.
        for (const of of [row.account, row.link]) assert.ok(of === undefined || this.rows.has(of.id), `${row.id} comes before ${of?.id}`)
        this.rows.set(row.id, row)
      }
      for (const id of removed as string[]) this.rows.delete(id)
      this.cursor = endCursor
      count += added.length + modified.length
      if (!hasNextPage) return count
    }
  }
}

/** The same rows as the lists have them. */
async function listed(session: Session): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>()
  for (const field of ['links', 'accounts', 'holdings', 'transactions']) {
    for (let after: string | null = null, more = true; more;) {
      const { data } = await ask(server, lists(field), { after }, session.accessToken)
      for (const row of data.viewer.list.nodes as Row[]) rows.set(row.id, row)
      after = data.viewer.list.pageInfo.endCursor
      more = data.viewer.list.pageInfo.hasNextPage
    }
  }
  return rows
}

const sorted = (rows: Map<string, Row>): Row[] => [...rows.values()].toSorted((left, right) => left.id.localeCompare(right.id))

test('a copy that follows the changes is what the lists say', { timeout: 60_000 }, async () => {
  const session = await Session.open(server)
  const copy = new Copy()
  await copy.follow(session)
  assert.ok(copy.rows.size > 2_000)
  assert.deepEqual(sorted(copy.rows), sorted(await listed(session)))

  const IMPORT = 'mutation($input: ImportStatementInput!) { importStatement(input: $input) { userErrors { code } } }'
  await ask(server, IMPORT, { input: { filename: 'sample.ofx', content: SAMPLE } }, session.accessToken)
  // A link, an account and three transactions; what they share may have changed with them.
  assert.ok(await copy.follow(session) >= 5)
  assert.deepEqual(sorted(copy.rows), sorted(await listed(session)))
  assert.equal(await copy.follow(session), 0)
})

test('a cursor is its user’s alone', async () => {
  await server.makeUser('ann@example.com')
  const [ann, other] = [await Session.open(server, 'ann@example.com', PASSWORD), new Copy()]
  assert.equal(await other.follow(ann), 0)
  const owner = new Copy()
  await owner.follow(await Session.open(server))
  for (const after of [owner.cursor, 'nonsense']) {
    const { errors } = await ask(server, CHANGES, { after }, ann.accessToken)
    assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT')
  }
})
