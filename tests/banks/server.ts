// The built binary as it is run for people, with a bank of the tests as Schwab, in a folder that goes with it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { APP, Bank } from './bank.ts'
import { PASSWORD, User } from './user.ts'

/** Where the binary is: DASHTAM_BINARY, else where cargo puts it. */
const BINARY = process.env.DASHTAM_BINARY ?? resolve(import.meta.dirname, '../../target/debug/dashtam')

/** Where a frontend has browsers sent back to. Nobody listens there. */
export const FRONTEND = 'http://127.0.0.1:5173/back'

/** Nothing of this shell reaches the server. Its log is talkative, so that what must not be in there can be looked for. */
const SETTINGS = {
  DASHTAM_ENVIRONMENT: 'development',
  DASHTAM_BIND: '127.0.0.1:0',
  DASHTAM_LOG: 'debug',
  DASHTAM_PASSWORDS__COST: '4',
  // One address signs in and links more often than people do.
  DASHTAM_RATE_LIMITS__ENABLED: 'false',
  DASHTAM_LINKS__RETURN_URLS: FRONTEND,
}

export class Server {
  /** Where it listens, without a slash at the end. */
  readonly url: string
  /** What it has logged. */
  readonly log: string[]
  readonly #folder: string
  readonly #end: () => Promise<void>

  private constructor(url: string, log: string[], folder: string, end: () => Promise<void>) {
    this.url = url
    this.log = log
    this.#folder = folder
    this.#end = end
  }

  /** Starts one that knows of a bank, after a server that has ended or from nothing. */
  static async start(bank: Bank, settings: Record<string, string> = {}, after?: Server): Promise<Server> {
    const folder = after === undefined ? await mkdtemp(join(tmpdir(), 'dashtam-banks-')) : after.#folder
    const schwab = {
      DASHTAM_PROVIDERS__SCHWAB__BASE_URL: bank.issuer,
      DASHTAM_PROVIDERS__SCHWAB__CLIENT_ID: APP.id,
      DASHTAM_PROVIDERS__SCHWAB__CLIENT_SECRET: APP.secret,
    }
    const server = spawn(BINARY, ['serve', '--data-dir', folder], {
      cwd: folder,
      env: { ...SETTINGS, ...schwab, ...settings },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    // A run that breaks off leaves nothing running.
    const kill = (): void => void server.kill()
    process.once('exit', kill)
    const ended = once(server, 'exit')
    const end = async (): Promise<void> => {
      process.off('exit', kill)
      server.kill('SIGTERM')
      const enough = setTimeout(() => server.kill('SIGKILL'), 20_000)
      await ended
      clearTimeout(enough)
    }
    const log: string[] = []
    const url = await new Promise<string>((ready, failed) => {
      createInterface({ input: server.stderr }).on('line', (line) => {
        log.push(line)
        const [, address] = / ready .*public_url="([^"]+)"/.exec(line) ?? []
        if (address !== undefined) ready(address)
      })
      ended.then(() => failed(new Error(`${BINARY} ended before it was ready:\n${log.join('\n')}`)), failed)
    }).catch(async (error: unknown) => {
      await rm(folder, { recursive: true, force: true })
      throw error
    })
    return new Server(url, log, folder, end)
  }

  /** Asks it to stop, and waits until it has; its folder stays for the next one. */
  end(): Promise<void> {
    return this.#end()
  }

  /** The same, and takes its folder away. */
  async stop(): Promise<void> {
    await this.#end()
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** The address the bank has to send browsers back to. */
  callback(provider = 'schwab'): string {
    return `${this.url}/oauth/${provider}/callback`
  }

  /** Makes a user on the command line, and signs them in. */
  async user(email: string): Promise<User> {
    const command = spawn(BINARY, ['user', 'create', email, '--password-stdin', '--data-dir', this.#folder], {
      cwd: this.#folder,
      env: SETTINGS,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    command.stdin.end(`${PASSWORD}\n`)
    const [code] = await once(command, 'exit')
    assert.equal(code, 0, `${email} was not made`)
    return User.signIn(this.url, email)
  }

  /** Where one of these texts can be read: in the log, or in a file of the data folder. */
  async spells(secrets: string[]): Promise<string[]> {
    const files = (await readdir(this.#folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
    const texts = await Promise.all(files.map(async ({ parentPath, name }) => [name, await readFile(join(parentPath, name), 'latin1')] as const))
    const places = [['the log', this.log.join('\n')] as const, ...texts]
    return places.filter(([, text]) => secrets.some((secret) => text.includes(secret))).map(([name]) => name)
  }
}

/** A bank, a server that is registered there, and a user of it, all for one test. */
export async function world(test: { after: (end: () => Promise<void>) => void }, settings: Record<string, string> = {}): Promise<World> {
  const bank = await Bank.open()
  test.after(() => bank.close())
  const server = await Server.start(bank, settings)
  test.after(() => server.stop())
  await bank.register(server.callback())
  return { bank, server, ann: await server.user('ann@example.com') }
}

export interface World {
  bank: Bank
  server: Server
  ann: User
}
