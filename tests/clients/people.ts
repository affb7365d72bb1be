// What people have beside a client: a mailbox, a device that shows codes, and a browser that walks through a bank.

import assert from 'node:assert/strict'
import { Secret, TOTP } from 'otpauth'
import type { Server } from './server.ts'

/** The newest token that was mailed to an address for a page, such as `/verify-email`; waits for the worker, which sends mails. */
export async function mailed(server: Server, to: string, page: string, past: string[] = []): Promise<string> {
  for (const end = Date.now() + 15_000; ; ) {
    const mails = (await (await fetch(`${server.url}/dev/mail`)).text()).split('<article>').filter((mail) => mail.includes(`to ${to},`))
    const tokens = mails.flatMap((mail) => new RegExp(`${page}\\?token=([\\w-]+)`).exec(mail)?.[1] ?? []).filter((token) => !past.includes(token))
    if (tokens[0] !== undefined) return tokens[0]
    assert.ok(Date.now() < end, `no mail to ${to} leads to ${page}`)
    await new Promise((later) => setTimeout(later, 50))
  }
}

/** An authenticator app. A code counts once, so each one asked for is of a later step of thirty seconds. */
export class Device {
  readonly #totp: TOTP
  #step: number

  constructor(secret: string) {
    this.#totp = new TOTP({ secret: Secret.fromBase32(secret) })
    // One step back is still accepted, and so is one ahead: three codes at once.
    this.#step = this.#totp.counter() - 2
  }

  code(): string {
    this.#step = Math.max(this.#step + 1, this.#totp.counter() - 1)
    return this.#totp.generate({ timestamp: this.#step * this.#totp.period * 1000 })
  }
}

/** Walks from an address at which a bank is asked, agreeing to everything, until it leads away from `inside`; answers where it ends. */
export async function agree(address: string, inside: (url: URL) => boolean): Promise<URL> {
  const cookies = new Map<string, string>()
  let url = new URL(address)
  let body: URLSearchParams | null = null
  for (let step = 0; step < 10; step += 1) {
    const headers = { Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
    const answer: Response = await fetch(url, { method: body ? 'POST' : 'GET', headers, body, redirect: 'manual' })
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      if (name !== undefined && value !== undefined) cookies.set(name, value)
    }
    const location = answer.headers.get('Location')
    body = null
    if (location !== null) {
      url = new URL(location, url)
      if (!inside(url)) return url
      continue
    }
    const page = await answer.text()
    const action = /<form [^>]*action="([^"]+)"/.exec(page)?.[1]
    assert.ok(answer.ok && action !== undefined, page)
    const fields = [...page.matchAll(/<(?:input|button)[^>]*>/g)].map(([tag]) => [/name="([^"]+)"/.exec(tag)?.[1], /value="([^"]*)"/.exec(tag)?.[1]])
    body = new URLSearchParams(fields.filter((field): field is [string, string] => field[0] !== undefined && field[1] !== undefined && field[1] !== 'decline'))
    url = new URL(action, url)
  }
  throw new Error('the walk to the bank does not end')
}
