// The page: what is shown when, and which request a click leads to. Text goes in as text, never as HTML.

import { BACK_FROM_BANK } from './channel'
import { accounts, banks, beginLink, completeLink, synced, transactions, written, type Account, type Provider, type Returned } from './money'
import { Session, SignedOut } from './session'

const session = new Session('/graphql', () => show('signed out', 'Your session has ended. Please sign in again.'))

/** What the code of a second factor goes with, between the password and the code. */
let challenge: string | null = null

/** The account whose transactions are shown, and where its next page begins. */
let open: { account: Account; next: string | null } | null = null

const part = <Kind extends HTMLElement>(id: string): Kind => {
  const found = document.getElementById(id)
  if (!found) throw new Error(`the page has no #${id}`)
  return found as Kind
}

function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag, properties: Partial<HTMLElementTagNameMap[Tag]>, ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children)
  return made
}

function say(text: string): void {
  const notice = part('notice')
  notice.textContent = text
  notice.hidden = text === ''
}

function show(state: 'signed in' | 'signed out' | 'code', text = ''): void {
  const signedIn = state === 'signed in'
  part('sign-in').hidden = state !== 'signed out'
  part('verify').hidden = state !== 'code'
  part('sign-out').hidden = part('money').hidden = !signedIn
  if (!signedIn) close()
  if (state !== 'code') challenge = null
  part<HTMLFormElement>('verify').reset()
  say(text)
}

async function begin(): Promise<void> {
  part<HTMLFormElement>('sign-in').reset()
  show('signed in')
  await Promise.all([showAccounts(), showBanks()])
}

/** Runs what a click asked for; whatever goes wrong is said, and the end of the session has been said already. */
async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (problem) {
    if (!(problem instanceof SignedOut)) say(problem instanceof Error ? problem.message : String(problem))
  }
}

function on(id: string, event: string, work: (event: Event) => Promise<void>): void {
  part(id).addEventListener(event, happened => {
    happened.preventDefault()
    void attempt(() => work(happened))
  })
}

async function showAccounts(): Promise<void> {
  const all = await accounts(session)
  part('accounts').replaceChildren(...all.map(account => {
    const { current } = account.balances
    const from = [account.institution, account.maskedNumber, account.isActive ? null : 'closed'].filter(text => text !== null).join(' · ')
    const button: HTMLButtonElement = element('button', { className: 'account', onclick: () => void attempt(() => openAccount(account, button)) },
      element('span', { className: 'name' }, account.name, element('small', {}, from)),
      element('span', { className: 'amount' }, current ? written(current) : '–'))
    return element('li', {}, button)
  }))
}

async function showBanks(): Promise<void> {
  const all = await banks(session)
  part('link').hidden = all.length === 0
  part('banks').replaceChildren(...all.map(bank => element('button', { onclick: () => void attempt(() => link(bank)) }, bank.name)))
}

async function openAccount(account: Account, button: HTMLElement): Promise<void> {
  close()
  button.ariaCurrent = 'true'
  open = { account, next: null }
  part('transactions-title').textContent = account.name
  part('choose').hidden = true
  part('transactions').hidden = false
  await showMore()
}

async function showMore(): Promise<void> {
  const asked = open
  if (!asked) return
  const page = await transactions(session, asked.account.id, asked.next)
  // Meanwhile another account may have been opened.
  if (open !== asked) return
  asked.next = page.next
  part('more').hidden = page.next === null
  part('transactions').querySelector('tbody')?.append(...page.transactions.map(row =>
    element('tr', { className: row.status.toLowerCase() },
      element('td', {}, row.postedOn),
      element('td', {}, row.merchantName ?? row.description),
      element('td', { className: 'amount' }, written(row.amount)))))
}

function close(): void {
  open = null
  part('accounts').querySelector('[aria-current]')?.removeAttribute('aria-current')
  part('transactions-title').textContent = 'Transactions'
  part('choose').hidden = false
  part('transactions').hidden = part('more').hidden = true
  part('transactions').querySelector('tbody')?.replaceChildren()
}

/** Offers the way to the bank as a link in a tab of its own: this tab holds the tokens and must not be left. */
async function link(bank: Provider): Promise<void> {
  const { authorizationUrl, refusals } = await beginLink(session, bank.slug, new URL('/linked.html', location.href).href)
  if (authorizationUrl === null) return say(refusals.map(refusal => refusal.message).join(' '))
  const way = element('a', { href: authorizationUrl, target: '_blank', rel: 'noopener' }, `Continue to ${bank.name}`)
  part('banks').replaceChildren(way)
  way.focus()
}

const back = new BroadcastChannel(BACK_FROM_BANK)
back.onmessage = (message: MessageEvent<Returned>) => void attempt(async () => {
  await showBanks()
  const { link, problem } = await completeLink(session, message.data)
  if (link === null) return say(problem ?? 'Nothing was linked.')
  say('The bank is linked. Fetching accounts and transactions …')
  const failure = await synced(session, link)
  await showAccounts()
  say(failure === null ? 'Everything is here.' : `Not everything could be fetched (${failure}).`)
})

on('sign-in', 'submit', async event => {
  const fields = new FormData(event.target as HTMLFormElement)
  const answer = await session.signIn(String(fields.get('email')), String(fields.get('password')))
  if (answer.refusals.length > 0) return say(answer.refusals.map(refusal => refusal.message).join(' '))
  if (answer.challenge === null) return begin()
  challenge = answer.challenge
  part<HTMLFormElement>('sign-in').reset()
  show('code')
  part('code').focus()
})

on('verify', 'submit', async event => {
  const code = String(new FormData(event.target as HTMLFormElement).get('code'))
  if (challenge === null) return show('signed out')
  const refusals = await session.verify(challenge, code)
  if (refusals.length === 0) return begin()
  const text = refusals.map(refusal => refusal.message).join(' ')
  // After five wrong codes, or five minutes, it takes the password again.
  if (refusals.some(refusal => refusal.code === 'CHALLENGE_INVALID')) return show('signed out', text)
  say(text)
})

on('start-over', 'click', async () => show('signed out'))

on('more', 'click', showMore)

on('sign-out', 'click', async () => {
  show('signed out')
  await session.signOut()
})
