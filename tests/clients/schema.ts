// The schema as the repository has it, and what caches want to know of it.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { buildSchema, isInterfaceType, isObjectType, isUnionType } from 'graphql'

export const ROOT = resolve(import.meta.dirname, '../..')
export const SDL = readFileSync(`${ROOT}/schema.graphql`, 'utf8')
export const schema = buildSchema(SDL)

/** Which types an interface or a union can be, for Apollo's cache. */
export const possibleTypes = Object.fromEntries(Object.values(schema.getTypeMap())
  .filter((type) => isInterfaceType(type) || isUnionType(type))
  .map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)]))

/** Values and wrappers have no id, so Graphcache is told to keep them inside what holds them. */
export const withoutId = Object.fromEntries(Object.values(schema.getTypeMap())
  .filter((type) => isObjectType(type) && !type.name.startsWith('__') && type.getFields().id === undefined)
  .map(({ name }) => [name, () => null]))
