import { createHash } from 'node:crypto'
import type { Server } from './server.ts'

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Whether the server keeps documents by their hash. */
export async function persistsDocuments(server: Server): Promise<boolean> {
  const query = new URLSearchParams({ extensions: JSON.stringify({ persistedQuery: { version: 1, sha256Hash: sha256('{ __typename }') } }) })
  return (await (await fetch(`${server.graphql}?${query}`)).text()).includes('PERSISTED_QUERY_NOT_FOUND')
}
