import type { CodegenConfig } from '@graphql-codegen/cli'

// Types for every document in documents/, as its users make them: the client preset, with nothing loosened.
const config: CodegenConfig = {
  schema: '../../schema.graphql',
  documents: ['documents/*.graphql'],
  ignoreNoDocuments: false,
  generates: {
    './gql/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        enumsAsTypes: true,
        useTypeImports: true,
        scalars: { Decimal: 'string', DateTime: 'string', LocalDate: 'string', CurrencyCode: 'string', URL: 'string' },
        strictScalars: true,
      },
    },
  },
}

export default config
