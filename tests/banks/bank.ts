// A bank at Schwab's paths whose authorization server is `oidc-provider`, which was not written for Dashtam and forgives nothing: clients
// prove themselves by HTTP Basic, PKCE is asked for, redirect addresses match exactly, each refresh token works once, and one that comes
// back a second time ends everything it was a part of.

import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import Provider, { type AdapterFactory, type Configuration, type KoaContextWithOIDC } from 'oidc-provider'
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js'
import { BROKERAGES, tell } from './trader.ts'

/** What Dashtam is called at the bank. Both have signs that mean something in a form and in HTTP Basic (RFC 6749, section 2.3.1). */
export const APP = { id: 'an app:key', secret: 'half/a+secret & 100 % of:one=' }

/** Who has accounts there. */
export const CUSTOMER = 'carol'

/** What the bank hands out when a client does not say what it wants, as Schwab's clients never do (RFC 6749, section 3.3). */
const SCOPE = 'api'

const PATHS = { authorization: '/v1/oauth/authorize', token: '/v1/oauth/token', revocation: '/v1/oauth/revoke' }

/** What one exchange or refresh handed out. */
export interface Handed {
  grant: string
  accessToken: string
  refreshToken: string
}

export class Bank {
  /** Its address, which is its name too. */
  readonly issuer: string
  /** What its authorization server saw and said, in words, oldest first. */
  told: string[] = []
  /** What it handed out, oldest first. */
  handed: Handed[] = []
  /** What came to its token endpoint. */
  forms: { authorization: string | undefined; fields: Record<string, unknown> }[] = []
  /** What was asked of its data, and how that was answered. */
  reads: { path: string; status: number }[] = []
  /** What broke in it, which is never what a test is about. */
  readonly faults: string[] = []
  /** What its customer has there. */
  brokerages = structuredClone(BROKERAGES)
  /** How long an access token lasts, in seconds. */
  accessTokenSeconds = 1800
  readonly #http: HttpServer
  readonly #adapter: AdapterFactory = createMemoryAdapter()
  readonly #provider: Provider
  /** Whether the next request to a path waits until it is let go. */
  #hold: { path: string; arrived: () => void; released: Promise<void> } | null = null

  private constructor(http: HttpServer) {
    this.#http = http
    this.issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
    this.#provider = new Provider(this.issuer, this.#configuration())
    this.#provider.use(async (ctx, next) => {
      // A scope that was left out is the one there is.
      if (ctx.path === PATHS.authorization && ctx.query.scope === undefined) ctx.query = { ...ctx.query, scope: SCOPE }
      await next()
      const { oidc } = ctx as KoaContextWithOIDC
      if (ctx.path === PATHS.token) this.forms.push({ authorization: ctx.headers.authorization, fields: { ...oidc.body } })
    })
    this.#listen()
    http.on('request', (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        this.faults.push(String(error))
        response.destroy()
      })
    })
  }

  /** Opens one on a free port. */
  static async open(): Promise<Bank> {
    const http = createServer()
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    return new Bank(http)
  }

  async close(): Promise<void> {
    this.#http.closeAllConnections()
    this.#http.close()
    await once(this.#http, 'close')
    assert.deepEqual(this.faults, [])
  }

  /** Registers Dashtam, with the addresses that browsers may be sent back to. */
  async register(...redirectUris: string[]): Promise<void> {
    await this.#adapter('Client').upsert(APP.id, {
      client_id: APP.id,
      client_secret: APP.secret,
      redirect_uris: redirectUris,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
      id_token_signed_response_alg: 'ES256',
    })
  }

  #configuration(): Configuration {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const week = 7 * 24 * 3600
    return {
      adapter: this.#adapter,
      routes: PATHS,
      scopes: [SCOPE],
      clientAuthMethods: ['client_secret_basic'],
      pkce: { required: () => true },
      rotateRefreshToken: true,
      issueRefreshToken: () => true,
      expiresWithSession: () => false,
      allowOmittingSingleRegisteredRedirectUri: false,
      clientDefaults: { id_token_signed_response_alg: 'ES256' },
      jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
      cookies: { keys: [randomBytes(32).toString('base64url')] },
      ttl: {
        AccessToken: () => this.accessTokenSeconds,
        AuthorizationCode: 30,
        RefreshToken: week,
        Grant: week,
        Session: week,
        Interaction: 600,
        IdToken: 600,
      },
      features: {
        devInteractions: { enabled: false },
        userinfo: { enabled: false },
        rpInitiatedLogout: { enabled: false },
        revocation: { enabled: true, allowedPolicy: (_, client, token) => token.clientId === client.clientId },
      },
      clientBasedCORS: () => false,
      findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
      interactions: { url: (_, { uid }) => `/interaction/${uid}` },
      renderError: (ctx, out) => {
        ctx.type = 'text/plain'
        ctx.body = `${out.error}: ${out.error_description}`
      },
    }
  }

  /** Notes what the provider says of itself. */
  #listen(): void {
    const provider = this.#provider
    const grant = ({ oidc }: KoaContextWithOIDC): string => String(oidc.params?.grant_type)
    provider.on('authorization.success', () => this.told.push('authorize: a code'))
    provider.on('authorization.error', (_, error) => this.told.push(`authorize: ${error.error}`))
    provider.on('grant.success', (ctx) => {
      const { access_token: accessToken, refresh_token: refreshToken } = ctx.body as { access_token: string; refresh_token: string }
      this.handed.push({ grant: grant(ctx), accessToken, refreshToken })
      this.told.push(`${grant(ctx)}: tokens`)
    })
    provider.on('grant.error', (ctx, error) => this.told.push(`${grant(ctx)}: ${error.error_detail ?? error.error_description}`))
    provider.on('grant.revoked', () => this.told.push('revoked'))
    provider.on('server_error', (_, error) => this.faults.push(String(error)))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', this.issuer).pathname
    if (this.#hold?.path === path) {
      const { arrived, released } = this.#hold
      this.#hold = null
      arrived()
      await released
    }
    if (path.startsWith('/trader/v1/')) {
      const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1]
      const isAlive = token !== undefined && await this.#provider.AccessToken.find(token) !== undefined
      this.reads.push({ path, status: tell(request, response, isAlive ? this.brokerages : null) })
    } else if (path.startsWith('/interaction/')) {
      await (request.method === 'POST' ? this.#decide(request, response) : this.#ask(request, response))
    } else {
      await this.#provider.callback()(request, response)
    }
  }

  /** The pages on which a customer signs in, and agrees. */
  async #ask(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { prompt } = await this.#provider.interactionDetails(request, response)
    response.setHeader('Content-Type', 'text/html')
    response.end(prompt.name === 'login'
      ? '<title>Sign in</title><form method="post"><input name="name"></form>'
      : '<title>Agree</title><form method="post"><button name="agrees" value="yes"><button name="agrees" value="no"></form>')
  }

  async #decide(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { prompt, session } = await this.#provider.interactionDetails(request, response)
    const form = new URLSearchParams(await text(request))
    if (prompt.name === 'login') {
      const accountId = form.get('name') ?? ''
      return this.#provider.interactionFinished(request, response, accountId === CUSTOMER ? { login: { accountId } } : { error: 'login_required' })
    }
    if (form.get('agrees') !== 'yes') {
      const refusal = { error: 'access_denied', error_description: 'the customer does not agree' }
      return this.#provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false })
    }
    assert.ok(session)
    const grant = new this.#provider.Grant({ accountId: session.accountId, clientId: APP.id })
    grant.addOIDCScope(SCOPE)
    return this.#provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true })
  }

  /** What it said since the last time somebody looked. */
  news(): string[] {
    return this.told.splice(0)
  }

  /** What was asked of its data since the last time somebody looked: how often with a token that counts, and how often without. */
  readings(): { answered: number; refused: number } {
    const reads = this.reads.splice(0)
    const refused = reads.filter(({ status }) => status === 401).length
    assert.deepEqual(reads.filter(({ status }) => status !== 200 && status !== 401), [])
    return { answered: reads.length - refused, refused }
  }

  /** What it handed out last. */
  get last(): Handed {
    const last = this.handed.at(-1)
    assert.ok(last, 'nothing was handed out')
    return last
  }

  /** Whether a refresh token would still be taken. */
  async takes(refreshToken: string): Promise<boolean> {
    const known = await this.#provider.RefreshToken.find(refreshToken)
    return known !== undefined && !known.consumed
  }

  /** Ends an access token before its time. */
  async endAccess(accessToken: string): Promise<void> {
    const known = await this.#provider.AccessToken.find(accessToken)
    assert.ok(known)
    await known.destroy()
  }

  /** Asks an endpoint as the app itself: as whoever has its secret. */
  asApp(endpoint: 'token' | 'revocation', fields: Record<string, string>): Promise<Response> {
    const basic = Buffer.from(`${encodeURIComponent(APP.id)}:${encodeURIComponent(APP.secret)}`).toString('base64')
    return fetch(this.issuer + PATHS[endpoint], { method: 'POST', headers: { Authorization: `Basic ${basic}` }, body: new URLSearchParams(fields) })
  }

  /** Ends a code before its time. */
  async endCode(code: string): Promise<void> {
    const kept = await this.#adapter('AuthorizationCode').find(code)
    assert.ok(kept)
    kept.exp = 1
  }

  /** Lets the next request to a path wait: `arrived` is when it is there, and `release` lets it go. */
  hold(path: string): { arrived: Promise<void>; release: () => void } {
    let [arrive, release] = [(): void => {}, (): void => {}]
    const arrived = new Promise<void>((resolve, reject) => {
      const nobody = setTimeout(() => reject(new Error(`nobody came to ${path}`)), 10_000)
      arrive = () => {
        clearTimeout(nobody)
        resolve()
      }
    })
    const released = new Promise<void>((resolve) => { release = resolve })
    this.#hold = { path, arrived: arrive, released }
    return { arrived, release }
  }
}
