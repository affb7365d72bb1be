// One signed-in user of a client: the pair of tokens, renewed once however many ask.

import assert from 'node:assert/strict'
import type { Server } from './server.ts'
import { ask } from './server.ts'

const CREATE = 'mutation($input: CreateSessionInput!) { createSession(input: $input) { session { id } accessToken refreshToken userErrors { code } } }'
const REFRESH = 'mutation($input: RefreshSessionInput!) { refreshSession(input: $input) { accessToken refreshToken userErrors { code } } }'

export class Session {
  readonly server: Server
  readonly id: string
  accessToken: string
  refreshToken: string
  /** How often it was renewed. */
  renewals = 0
  #renewal: Promise<string> | null = null

  private constructor(server: Server, got: { session: { id: string }; accessToken: string; refreshToken: string }) {
    this.server = server
    this.id = got.session.id
    this.accessToken = got.accessToken
    this.refreshToken = got.refreshToken
  }

  /** Signs the demo's user in, or somebody else. */
  static async open(server: Server, email = server.email, password = server.password): Promise<Session> {
    const { data } = await ask(server, CREATE, { input: { email, password } }, null)
    assert.deepEqual(data.createSession.userErrors, [])
    return new Session(server, data.createSession)
  }

  /** Makes the access token one that does not work, as time would. */
  spoil(): void {
    this.accessToken = `${this.accessToken.slice(0, -4)}AAAA`
  }

  /** The next pair; all that ask meanwhile wait for the same exchange, since a refresh token works once. */
  renew(): Promise<string> {
    this.#renewal ??= this.#exchange().finally(() => { this.#renewal = null })
    return this.#renewal
  }

  async #exchange(): Promise<string> {
    const { data } = await ask(this.server, REFRESH, { input: { refreshToken: this.refreshToken } }, null)
    if (data.refreshSession.userErrors.length > 0) throw new Error(data.refreshSession.userErrors[0].code)
    this.renewals += 1
    this.accessToken = data.refreshSession.accessToken
    this.refreshToken = data.refreshSession.refreshToken
    return this.accessToken
  }
}

/** Requests as a client sent them, past its own view of them. */
export class Wire {
  readonly requests: { method: string; url: URL; body: { query?: string; operationName?: string; extensions?: object } | null }[] = []

  readonly fetch: typeof fetch = async (input, init) => {
    const request = new Request(input, init)
    const text = request.method === 'GET' ? '' : await request.clone().text()
    this.requests.push({ method: request.method, url: new URL(request.url), body: text === '' ? null : JSON.parse(text) })
    return fetch(request)
  }

  clear(): void {
    this.requests.length = 0
  }
}
