// How graphql-eslint reads the schema and the documents, from the repository's root. A rule is bent only where the API's conventions
// differ from the rule's, and then says why; none is switched off.

import { resolve } from 'node:path'
import graphql from '@graphql-eslint/eslint-plugin'

const root = resolve(import.meta.dirname, '../..')
const schema = `${root}/schema.graphql`
const parserOptions = {
  graphQLConfig: {
    projects: {
      clients: { schema, documents: `${import.meta.dirname}/documents/*.graphql` },
      playground: { schema, documents: `${root}/playground/*.graphql` },
    },
  },
}
const graphqlFiles = { plugins: { '@graphql-eslint': graphql }, languageOptions: { parser: graphql.parser, parserOptions } }

export default [
  {
    ...graphqlFiles,
    files: ['schema.graphql'],
    rules: {
      ...graphql.configs['flat/schema-recommended'].rules,
      ...graphql.configs['flat/schema-relay'].rules,
      '@graphql-eslint/strict-id-in-types': ['error', {
        exceptions: {
          // Wrappers and answers are nothing one could ask for again.
          suffixes: ['Connection', 'Edge', 'Payload', 'Page'],
          // Values: parts of the one thing that holds them, or answers about the moment, which caches keep inside of that.
          types: [
            'Agreement', 'AuditActor', 'AuditContextEntry', 'AuditResource', 'Balances', 'Consent', 'Coverage', 'CsvColumn', 'CsvFormat', 'DayBalance', 'DaySpan', 'Erasure',
            'Freshness', 'ImportAccount', 'ImportProblem', 'ImportRow', 'LegalDocument', 'LinkConsent', 'LinkCredentials', 'Money', 'PageInfo', 'Provider', 'ProviderBudget', 'RateLimit',
            'RequestBudget', 'SecondFactor', 'SecondFactorEnrolment', 'Security',
            'SecurityPolicy', 'SignInChallenge', 'SyncProgress', 'TokenRotation', 'UserError',
          ],
        },
      }],
      '@graphql-eslint/relay-edge-types': ['error', {
        // A connection has `nodes` beside its edges, and a list that cannot grow is a list.
        listTypeCanWrapOnlyEdgeType: false,
        // schema.test.ts looks at this with the two that are not.
        shouldImplementNode: false,
      }],
      // Not among the recommended ones, and a promise of the API: one argument `input`, named after its mutation.
      '@graphql-eslint/input-name': ['error', { checkInputType: true, caseSensitiveInputType: false }],
      '@graphql-eslint/no-scalar-result-type-on-mutation': 'error',
    },
  },
  {
    ...graphqlFiles,
    files: ['tests/clients/documents/*.graphql', 'playground/*.graphql'],
    rules: graphql.configs['flat/operations-recommended'].rules,
  },
]
