// The built binary with its sandbox bank and one user, in a folder that goes with it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'

/** Where the binary is: DASHTAM_BINARY, else where cargo puts it. */
const BINARY = process.env.DASHTAM_BINARY ?? resolve(import.meta.dirname, '../../target/debug/dashtam')

/** A bcrypt cost for tests, a frontend that browsers may be sent back to, and terms. Nothing of this shell reaches the server. */
const SETTINGS = {
  DASHTAM_ENVIRONMENT: 'development',
  DASHTAM_PASSWORDS__COST: '4',
  // One address signs in far more often than people do.
  DASHTAM_RATE_LIMITS__ENABLED: 'false',
  DASHTAM_LINKS__RETURN_URLS: 'http://127.0.0.1:5173/back',
  DASHTAM_LEGAL__TERMS_VERSION: '2026-11',
  DASHTAM_LEGAL__TERMS_URL: 'https://money.example.com/terms',
}

export const PASSWORD = 'ten lanterns by the sea'

export class Server {
  /** Where it listens, without a slash at the end. */
  readonly url: string
  /** The demo's user, whose bank is linked and synced. */
  readonly email: string
  readonly password: string
  /** Works for 15 minutes. */
  readonly accessToken: string
  readonly #folder: string
  readonly #stop: () => Promise<void>

  private constructor(ready: { url: string; email: string; password: string; accessToken: string }, folder: string, stop: () => Promise<void>) {
    this.url = ready.url
    this.email = ready.email
    this.password = ready.password
    this.accessToken = ready.accessToken
    this.#folder = folder
    this.#stop = stop
  }

  /** Starts one, and waits until its bank is linked and synced. */
  static async start(settings: Record<string, string> = {}): Promise<Server> {
    const folder = await mkdtemp(join(tmpdir(), 'dashtam-clients-'))
    const server = spawn(BINARY, ['demo', '--json', '--bind', '127.0.0.1:0', '--data-dir', folder], {
      cwd: folder,
      env: { ...SETTINGS, ...settings },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    // A run that breaks off leaves nothing running.
    const kill = (): void => void server.kill()
    process.once('exit', kill)
    const ended = once(server, 'exit')
    const stop = async (): Promise<void> => {
      process.off('exit', kill)
      server.kill('SIGTERM')
      await ended
      await rm(folder, { recursive: true })
    }
    const lines = createInterface({ input: server.stdout })
    const first = await Promise.race([once(lines, 'line'), ended.then(() => { throw new Error(`${BINARY} ended before it was ready`) })])
    return new Server(JSON.parse(String(first[0])), folder, stop)
  }

  get graphql(): string {
    return `${this.url}/graphql`
  }

  stop(): Promise<void> {
    return this.#stop()
  }

  /** Makes a user on the command line, who can sign in at once with `PASSWORD`. */
  async makeUser(email: string, role: 'admin' | 'user' | 'readonly' = 'user'): Promise<void> {
    const command = spawn(BINARY, ['user', 'create', email, '--role', role, '--tier', 'pro', '--password-stdin', '--data-dir', this.#folder], {
      cwd: this.#folder,
      env: SETTINGS,
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    command.stdin.end(`${PASSWORD}\n`)
    const [code] = await once(command, 'exit')
    if (code !== 0) throw new Error(`${email} was not made`)
  }
}

/** Asks the graph with nothing but `fetch`, and answers what came, faults included. */
export async function ask(server: Server, query: string, variables: object = {}, token: string | null = server.accessToken): Promise<Answer> {
  const headers: Record<string, string> = { 'Content-Type': 'application/json', Accept: 'application/graphql-response+json' }
  if (token !== null) headers.Authorization = `Bearer ${token}`
  const response = await fetch(server.graphql, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
  return await response.json() as Answer
}

export interface Answer {
  // Whatever was asked for.
  data?: any
  errors?: { message: string; path?: (string | number)[]; extensions: { code: string; traceId: string } }[]
  extensions?: { authentication?: string }
}
