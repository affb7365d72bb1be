// One signed-in user: signs in, asks, renews, signs out.
//
// Both tokens live in this object and nowhere else. What is not stored cannot be stolen from a store; the price is that a reload of the
// page asks for the password again.

import { graphql } from './gql'
import type { TypedDocumentString, UserErrorCode } from './gql/graphql'

/** Why a mutation did not do what was asked: for people, and for programs. */
export interface Refusal {
  code: UserErrorCode
  message: string
}

/** A fault, which is no refusal: the server could not answer, or the document is wrong. `traceId` finds it in the server's log. */
export class Fault extends Error {
  readonly code: string
  readonly traceId: string | undefined

  constructor(message: string, code = 'INTERNAL', traceId?: string) {
    super(message)
    this.code = code
    this.traceId = traceId
  }
}

/** There is no session any more; the user has to sign in again. */
export class SignedOut extends Error {}

interface Answer<Result> {
  data?: Result | null
  errors?: { message: string; extensions?: { code?: string; traceId?: string } }[]
  extensions?: { authentication?: string }
}

interface Tokens {
  sessionId: string
  accessToken: string
  refreshToken: string
  /** When to renew, by this machine's monotonic clock. */
  renewAt: number
}

/** Renewed this long before it ends, so that no request leaves with a token that ends on its way. */
const AHEAD_MS = 30_000

const SIGN_IN = graphql(`
  mutation SignIn($email: String!, $password: String!) {
    createSession(input: { email: $email, password: $password }) {
      session { id }
      accessToken
      refreshToken
      expiresIn
      challenge { token }
      userErrors { code message }
    }
  }
`)

const VERIFY = graphql(`
  mutation Verify($challenge: String!, $code: String!) {
    verifySecondFactor(input: { challenge: $challenge, code: $code }) {
      session { id }
      accessToken
      refreshToken
      expiresIn
      userErrors { code message }
    }
  }
`)

const RENEW = graphql(`
  mutation Renew($refreshToken: String!) {
    refreshSession(input: { refreshToken: $refreshToken }) {
      accessToken
      refreshToken
      expiresIn
      userErrors { code message }
    }
  }
`)

const SIGN_OUT = graphql(`
  mutation SignOut($sessionId: ID!) {
    revokeSession(input: { sessionId: $sessionId }) {
      session { revokedAt }
      userErrors { code message }
    }
  }
`)

export class Session {
  #endpoint: string
  #onEnd: () => void
  #tokens: Tokens | null = null
  #renewal: Promise<void> | null = null

  /** `onEnd` is called when the server has ended the session: by reuse of a token, by its user elsewhere, or by time. */
  constructor(endpoint: string, onEnd: () => void = () => {}) {
    this.#endpoint = endpoint
    this.#onEnd = onEnd
  }

  /** Signs in. A user with a second factor gets a challenge first, for `verify`; `refusals` says why there is neither. */
  async signIn(email: string, password: string): Promise<{ challenge: string | null; refusals: Refusal[] }> {
    const { createSession: answer } = await this.#data(await this.#post(SIGN_IN, { email, password }))
    if (answer.session) this.#keep(answer.session.id, answer)
    return { challenge: answer.challenge?.token ?? null, refusals: answer.userErrors }
  }

  /** Goes on with a sign-in by a code of the user's device, or a recovery code; answers why not, and nothing when it worked. */
  async verify(challenge: string, code: string): Promise<Refusal[]> {
    const { verifySecondFactor: answer } = await this.#data(await this.#post(VERIFY, { challenge, code }))
    if (answer.session) this.#keep(answer.session.id, answer)
    return answer.userErrors
  }

  /** Asks the graph. Renews the tokens first when they are about to end, and once more when the server finds that they have. */
  async ask<Result, Variables>(document: TypedDocumentString<Result, Variables>, variables: Variables): Promise<Result> {
    if (!this.#tokens) throw new SignedOut('nobody is signed in')
    if (performance.now() >= this.#tokens.renewAt) await this.#renew()
    const sent = this.#tokens.accessToken
    let answer = await this.#post(document, variables, sent)
    // A token that no longer works makes the request anonymous, so nothing has happened yet and it may be sent again.
    if (answer.extensions?.authentication) {
      if (this.#tokens?.accessToken === sent) await this.#renew()
      answer = await this.#post(document, variables, this.#tokens?.accessToken)
    }
    return this.#data(answer)
  }

  /** Ends the session here and on the server. */
  async signOut(): Promise<void> {
    if (!this.#tokens) return
    try {
      await this.ask(SIGN_OUT, { sessionId: this.#tokens.sessionId })
    } finally {
      this.#tokens = null
    }
  }

  /** Makes the next request renew the tokens first; for tests. */
  expire(): void {
    if (this.#tokens) this.#tokens.renewAt = 0
  }

  /** A refresh token works once, so all that find the tokens old wait for the same exchange. */
  #renew(): Promise<void> {
    this.#renewal ??= this.#exchange().finally(() => { this.#renewal = null })
    return this.#renewal
  }

  async #exchange(): Promise<void> {
    if (!this.#tokens) throw new SignedOut('nobody is signed in')
    const { sessionId, refreshToken } = this.#tokens
    const { refreshSession: answer } = await this.#data(await this.#post(RENEW, { refreshToken }))
    if (answer.userErrors.length === 0) return this.#keep(sessionId, answer)
    this.#tokens = null
    this.#onEnd()
    throw new SignedOut(answer.userErrors[0]!.message)
  }

  #keep(sessionId: string, got: { accessToken: string | null; refreshToken: string | null; expiresIn: number | null }): void {
    const { accessToken, refreshToken, expiresIn } = got
    if (accessToken === null || refreshToken === null || expiresIn === null) throw new Fault('the server sent no tokens')
    this.#tokens = { sessionId, accessToken, refreshToken, renewAt: performance.now() + expiresIn * 1000 - AHEAD_MS }
  }

  async #post<Result, Variables>(
    document: TypedDocumentString<Result, Variables>, variables: Variables, accessToken?: string,
  ): Promise<Answer<Result>> {
    const headers: Record<string, string> = { 'Content-Type': 'application/json', Accept: 'application/graphql-response+json' }
    if (accessToken) headers.Authorization = `Bearer ${accessToken}`
    const response = await fetch(this.#endpoint, { method: 'POST', headers, body: JSON.stringify({ query: document.toString(), variables }) })
    if (!response.headers.get('Content-Type')?.startsWith('application/graphql-response+json')) {
      throw new Fault(`the server answered ${response.status}`, 'UNAVAILABLE', response.headers.get('X-Trace-Id') ?? undefined)
    }
    return await response.json() as Answer<Result>
  }

  #data<Result>(answer: Answer<Result>): Result {
    const [error] = answer.errors ?? []
    if (error) throw new Fault(error.message, error.extensions?.code, error.extensions?.traceId)
    if (answer.data == null) throw new Fault('the server sent no data')
    return answer.data
  }
}
