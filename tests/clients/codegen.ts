import type { CodegenConfig } from '@graphql-codegen/cli'

const config = {
  enumsAsTypes: true,
  useTypeImports: true,
  scalars: { Decimal: 'string', DateTime: 'string', LocalDate: 'string', CurrencyCode: 'string', URL: 'string' },
  strictScalars: true,
}

// Types for every document in documents/, as its users make them with the client preset.
const codegen: CodegenConfig = {
  schema: '../../schema.graphql',
  documents: ['documents/*.graphql'],
  ignoreNoDocuments: false,
  generates: {
    // What the tests use: they look at whole answers, so fragments are not masked.
    './gql/': { preset: 'client', presetConfig: { fragmentMasking: false }, config },
    // As the preset comes, and as strings, with a manifest of them for the server.
    './gql/masked/': { preset: 'client', presetConfig: { persistedDocuments: { hashAlgorithm: 'sha256' } }, config: { ...config, documentMode: 'string' } },
  },
}

export default codegen
