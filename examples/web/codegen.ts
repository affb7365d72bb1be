import type { CodegenConfig } from '@graphql-codegen/cli'

// Types for exactly the documents in src/, checked against the schema of this repository. In a repository of your own,
// take the schema from a server: `curl -o schema.graphql https://…/schema.graphql`.
const config: CodegenConfig = {
  schema: '../../schema.graphql',
  documents: ['src/**/*.ts', '!src/gql/**'],
  ignoreNoDocuments: false,
  generates: {
    './src/gql/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        documentMode: 'string',
        enumsAsTypes: true,
        useTypeImports: true,
        // Amounts are exact decimals and travel as text. Calculating with them takes a decimal library, not `number`.
        scalars: { Decimal: 'string', DateTime: 'string', LocalDate: 'string', CurrencyCode: 'string', URL: 'string' },
        strictScalars: true,
      },
    },
  },
}

export default config
