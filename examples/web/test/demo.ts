// A server to try the app on: the built binary, with its sandbox bank and one user, in a folder that goes with it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'

export interface Demo {
  url: string
  email: string
  password: string
  stop: () => Promise<void>
}

/** Where the binary is: DASHTAM_BINARY, else where cargo puts it. */
const BINARY = process.env.DASHTAM_BINARY ?? resolve(import.meta.dirname, '../../../target/debug/dashtam')

/** Starts a demo that lets the browser return to `returnUrl`, and waits until its bank is linked and synced. */
export async function startDemo(returnUrl: string): Promise<Demo> {
  const folder = await mkdtemp(join(tmpdir(), 'dashtam-web-'))
  const server = spawn(BINARY, ['demo', '--json', '--bind', '127.0.0.1:0', '--data-dir', folder], {
    cwd: folder,
    env: { DASHTAM_ENVIRONMENT: 'development', DASHTAM_PASSWORDS__COST: '4', DASHTAM_LINKS__RETURN_URLS: returnUrl, DASHTAM_RATE_LIMITS__ENABLED: 'false' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(server, 'exit')
  const stop = async (): Promise<void> => {
    server.kill('SIGTERM')
    await ended
    await rm(folder, { recursive: true })
  }
  const lines = createInterface({ input: server.stdout })
  const first = await Promise.race([once(lines, 'line'), ended.then(() => { throw new Error(`${BINARY} ended before it was ready`) })])
  return { ...JSON.parse(String(first[0])) as Omit<Demo, 'stop'>, stop }
}
