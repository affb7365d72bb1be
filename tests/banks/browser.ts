// A person with a browser: cookies as browsers keep them, pages as they come, and answers to what the bank asks.

import assert from 'node:assert/strict'
import { CookieJar } from 'tough-cookie'
import { CUSTOMER } from './bank.ts'

/** What a browser shows, or where it is sent. */
export interface Shown {
  status: number
  /** Where it is sent on to. */
  location: URL | null
  page: string
}

export class Browser {
  readonly #jar = new CookieJar()

  /** One request, without following where it leads. */
  async open(url: URL | string, form?: Record<string, string>): Promise<Shown> {
    const address = new URL(url)
    // Banks are other sites, and whoever comes from there brings no strict cookies; a form of one's own site brings all.
    const cookies = await this.#jar.getCookieString(address.href, { sameSiteContext: form === undefined ? 'lax' : 'strict' })
    const headers: Record<string, string> = cookies === '' ? {} : { Cookie: cookies }
    if (form !== undefined) headers.Origin = address.origin
    const body = form === undefined ? null : new URLSearchParams(form)
    const answer = await fetch(address, { method: body === null ? 'GET' : 'POST', headers, body, redirect: 'manual' })
    for (const cookie of answer.headers.getSetCookie()) await this.#jar.setCookie(cookie, address.href)
    const location = answer.headers.get('Location')
    return { status: answer.status, location: location === null ? null : new URL(location, address), page: await answer.text() }
  }

  /** The cookies it holds for an address, as `name; HttpOnly; SameSite=…`. */
  async cookies(url: string): Promise<{ name: string; value: string; httpOnly: boolean; sameSite: string | undefined }[]> {
    const cookies = await this.#jar.getCookies(url)
    return cookies.map(({ key, value, httpOnly, sameSite }) => ({ name: key, value, httpOnly, sameSite }))
  }

  /** Passes our own page; answers the bank's address it leads to. */
  async leave(authorizationUrl: string): Promise<URL> {
    const start = await this.open(authorizationUrl)
    assert.equal(start.status, 200, start.page)
    const [, action] = /<form method="post" action="([^"]+)"/.exec(start.page) ?? []
    const [, ticket] = /name="ticket" value="([^"]+)"/.exec(start.page) ?? []
    assert.ok(action !== undefined && ticket !== undefined, start.page)
    const { status, location } = await this.open(new URL(action, authorizationUrl), { ticket })
    assert.ok(status === 303 && location !== null, `${status}`)
    return location
  }

  /** Signs in at the bank where it asks for that, and agrees or does not; answers where the bank sends the browser, which is not opened yet. */
  async answer(bankUrl: URL, agrees: boolean): Promise<URL> {
    let shown = await this.open(bankUrl)
    for (let step = 0; step < 10; step += 1) {
      const at: URL = shown.location ?? bankUrl
      if (shown.location === null || at.origin !== bankUrl.origin) return at
      shown = await this.open(at)
      if (/<title>Sign in/.test(shown.page)) shown = await this.open(at, { name: CUSTOMER })
      else if (/<title>Agree/.test(shown.page)) shown = await this.open(at, { agrees: agrees ? 'yes' : 'no' })
    }
    throw new Error('the walk through the bank does not end')
  }

  /** All the way to the bank and back; answers what the callback shows. */
  async link(authorizationUrl: string, agrees = true): Promise<Shown> {
    return this.open(await this.answer(await this.leave(authorizationUrl), agrees))
  }
}
