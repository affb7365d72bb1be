// The schema as others judge it: linters, caches, and whoever built on an earlier one. It takes no server.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { CriticalityLevel, diff } from '@graphql-inspector/core'
import { ESLint } from 'eslint'
import { type GraphQLInterfaceType, buildSchema, getNamedType, getNullableType, isInterfaceType, isLeafType, isListType, isNonNullType, isObjectType } from 'graphql'
import { ROOT, SDL, schema } from './schema.ts'

const BASELINE = readFileSync(`${import.meta.dirname}/schema.baseline.graphql`, 'utf8')

test('linters find nothing in the schema, nor in the documents of these tests and of the playground', async () => {
  const linter = new ESLint({ cwd: ROOT, overrideConfigFile: `${import.meta.dirname}/eslint.config.js` })
  const results = await linter.lintFiles(['schema.graphql', 'tests/clients/documents/*.graphql', 'playground/*.graphql'])
  assert.ok(results.length >= 20, 'files that were to be linted are not there')
  const found = results.flatMap(({ filePath, messages }) => messages.map(({ line, ruleId, message }) => `${filePath}:${line} ${ruleId}: ${message}`))
  assert.deepEqual(found, [])
})

test('the linters would say so', async () => {
  const linter = new ESLint({ cwd: ROOT, overrideConfigFile: `${import.meta.dirname}/eslint.config.js` })
  const [result] = await linter.lintText('type Query { getIt: Thing } type Thing { bad_name: Int }', { filePath: `${ROOT}/schema.graphql` })
  const rules = new Set(result?.messages.map(({ ruleId }) => ruleId?.replace('@graphql-eslint/', '')))
  for (const rule of ['naming-convention', 'require-description', 'strict-id-in-types']) assert.ok(rules.has(rule), `${rule} is silent`)
})

test('whatever stands in an edge can be asked for again by its id', () => {
  /** Agreements, consents and what a day ended with are facts and have no id; an event of the trail is read where reading it leaves a trace. */
  const NO_NODES = ['Agreement', 'AuditEvent', 'DayBalance', 'LinkConsent']
  const types = Object.values(schema.getTypeMap()).filter(isObjectType)
  const inEdges = types.filter(({ name }) => name.endsWith('Edge')).map((edge) => getNamedType(edge.getFields().node!.type).name)
  const nodes = schema.getPossibleTypes(schema.getType('Node') as GraphQLInterfaceType).map(({ name }) => name)
  assert.deepEqual(inEdges.filter((name) => !nodes.includes(name)).sort(), NO_NODES)
})

test('a mutation answers a payload with its object, nullable, and userErrors', () => {
  for (const field of Object.values(schema.getMutationType()!.getFields())) {
    const payload = getNullableType(field.type)
    assert.ok(isNonNullType(field.type) && isObjectType(payload) && payload.name.endsWith('Payload'), `${field.name} answers ${field.type}`)
    const { userErrors, ...rest } = payload.getFields()
    assert.equal(String(userErrors?.type), '[UserError!]!', payload.name)
    for (const { name, type } of Object.values(rest)) {
      // What is only yes or no says no by itself.
      assert.ok(!isNonNullType(type) || String(type) === 'Boolean!', `${payload.name}.${name} cannot be null, so what does it say beside a refusal?`)
    }
  }
})

test('every list that may grow is a connection', () => {
  /** These cannot grow; the rows of a file are asked for by their number, and of gaps the latest are told. */
  const SHORT = [
    'UserError', 'Provider', 'ProviderBudget', 'LegalDocument', 'AuditContextEntry', 'CsvColumn', 'DaySpan', 'ImportAccount', 'ImportProblem', 'ImportRow', 'Node', 'Money',
  ]
  const lists: string[] = []
  for (const type of Object.values(schema.getTypeMap())) {
    if (!(isObjectType(type) || isInterfaceType(type)) || type.name.startsWith('__') || /(Connection|Page)$/.test(type.name)) continue
    for (const field of Object.values(type.getFields())) {
      const inner = isNonNullType(field.type) ? field.type.ofType : field.type
      const of = getNamedType(field.type)
      if (isListType(inner) && !isLeafType(of) && !SHORT.includes(of.name)) lists.push(`${type.name}.${field.name}`)
    }
  }
  assert.deepEqual(lists, [])
})

const breaking = async (before: string, now: string): Promise<string[]> => {
  const changes = await diff(buildSchema(before), buildSchema(now))
  return changes.filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking).map(({ message }) => message)
}

test('nothing is broken for whoever built on the baseline', async () => {
  assert.deepEqual(await breaking(BASELINE, SDL), [])
})

test('a change that breaks clients would be seen', async () => {
  for (const [of, into, message] of [
    ['maskedNumber: String', 'number: String', /maskedNumber/],
    ['currency: CurrencyCode!', 'currency: CurrencyCode', /currency/],
    ['password: String!', 'password: String! captcha: String!', /captcha/],
    ['ROTH_IRA', 'ROTH', /ROTH_IRA/],
  ] as const) {
    const changed = SDL.replace(of, into)
    assert.notEqual(changed, SDL, `there is no ${of}`)
    assert.match((await breaking(SDL, changed)).join('\n'), message)
  }
})
