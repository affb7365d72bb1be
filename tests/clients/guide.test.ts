// The page that says which clients are tested says it of the versions that are.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

test('the guide names the versions that are installed', () => {
  const page = readFileSync(`${import.meta.dirname}/../../docs/guides/clients.md`, 'utf8')
  const { devDependencies } = JSON.parse(readFileSync(`${import.meta.dirname}/package.json`, 'utf8')) as { devDependencies: Record<string, string> }
  const rows = [...page.matchAll(/^\| `([^`]+)` \| ([\d.]+) \|/gm)].map(([, name, version]) => [name!, version!] as const)
  assert.ok(rows.length > 10)
  for (const [name, version] of rows) assert.equal(version, devDependencies[name]?.replace(/^npm:.*@/, ''), name)
})
