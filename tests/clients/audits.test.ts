// GraphQL over HTTP as its reference suite has it: every MUST, SHOULD and MAY.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { serverAudits } from 'graphql-http'
import { Server } from './server.ts'

const server = await Server.start()
after(() => server.stop())

/** Who asks must make no difference to how the protocol is spoken. */
const ASKERS: Record<string, () => Record<string, string>> = {
  'for nobody': () => ({}),
  'for a signed-in user': () => ({ Authorization: `Bearer ${server.accessToken}` }),
  'beside a token that does not work': () => ({ Authorization: 'Bearer nonsense' }),
}

for (const [who, headers] of Object.entries(ASKERS)) {
  test(`every audit of graphql-http holds ${who}`, async () => {
    const audits = serverAudits({
      url: server.graphql,
      fetchFn: (url: string, init?: RequestInit) => fetch(url, { ...init, headers: { ...init?.headers, ...headers() } }),
    })
    assert.ok(audits.length >= 61, `only ${audits.length} audits: the suite has shrunk`)
    const failed: string[] = []
    const table: string[] = []
    for (const audit of audits) {
      const result = await audit.fn()
      table.push(`  ${result.status.padEnd(6)} ${audit.id}  ${audit.name}`)
      if (result.status === 'ok') continue
      const body = result.response.bodyUsed ? 'a body that was read' : await result.response.text()
      failed.push(`${audit.id} ${audit.name}: ${result.reason}; the answer was ${result.response.status} with ${body}`)
    }
    console.log(`graphql-http ${who}:\n${table.join('\n')}`)
    assert.deepEqual(failed, [])
  })
}
