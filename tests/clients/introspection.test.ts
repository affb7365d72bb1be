// What tools learn of the schema by asking a server.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { loadSchema } from '@graphql-tools/load'
import { UrlLoader } from '@graphql-tools/url-loader'
import * as graphql16 from 'graphql'
import * as graphql17 from 'graphql17'
import { SDL, schema } from './schema.ts'
import { Server, ask } from './server.ts'

const server = await Server.start()
after(() => server.stop())

/** Two schemas are long; what is shown of them is where they part. */
function assertSameText(found: string, wanted: string, about: string): void {
  const [left, right] = [found.split('\n'), wanted.split('\n')]
  const at = left.findIndex((line, index) => line !== right[index])
  assert.ok(found === wanted, `${about}: line ${at + 1} is ${JSON.stringify(left[at])} and not ${JSON.stringify(right[at])}`)
}

/** Every option of `getIntrospectionQuery`, each by itself and all together. Deprecating directives is no part of the specification. */
const OPTIONS = ['descriptions', 'specifiedByUrl', 'directiveIsRepeatable', 'schemaDescription', 'inputValueDeprecation', 'oneOf'] as const
const choices = [
  {},
  ...OPTIONS.map((option) => ({ [option]: true })),
  { descriptions: false },
  Object.fromEntries(OPTIONS.map((option) => [option, true])),
]

/** What the server's library says of every schema; a file has no place for it. */
const OF_ANY_SCHEMA = /^A GraphQL Schema defines the capabilities of a GraphQL server/

for (const [version, library] of Object.entries({ 16: graphql16, 17: graphql17 as unknown as typeof graphql16 })) {
  test(`graphql ${version} finds by introspection what the file says`, async () => {
    for (const options of choices as graphql16.IntrospectionOptions[]) {
      const { data, errors } = await ask(server, library.getIntrospectionQuery(options), {}, null)
      assert.equal(errors, undefined, JSON.stringify(options))
      if (data.__schema.description !== undefined) assert.match(data.__schema.description, OF_ANY_SCHEMA)
      delete data.__schema.description
      const found = library.buildClientSchema(data)
      assert.deepEqual(library.validateSchema(found), [])
      const printed = (of: graphql16.GraphQLSchema): string => {
        let text = library.printSchema(library.lexicographicSortSchema(of))
        if (!options.specifiedByUrl) text = text.replaceAll(/ @specifiedBy\(url: "[^"]*"\)/g, '')
        if (options.descriptions === false) text = library.print(library.parse(text.replaceAll(/^ *"""[\s\S]*?"""\n/gm, '')))
        return text.trim()
      }
      assertSameText(printed(found), printed(library.buildSchema(SDL)), JSON.stringify(options))
    }
  })
}

test('graphql-tools loads the schema from its address, by introspection and as a file', async () => {
  const printed = (of: graphql16.GraphQLSchema): string => graphql16.printSchema(graphql16.lexicographicSortSchema(of))
  const load = (address: string, how: object): Promise<graphql16.GraphQLSchema> => loadSchema(address, { loaders: [new UrlLoader()], ...how })
  assertSameText(printed(await load(server.graphql, { specifiedByUrl: true })), printed(schema), 'by introspection')
  assertSameText(printed(await load(`${server.url}/schema.graphql`, { handleAsSDL: true })), printed(schema), 'as a file')
})
