// What the page asks for. Each document stands beside the function that sends it; `npm run codegen` makes its types.

import { graphql } from './gql'
import type { AccountsQuery, ProvidersQuery, TransactionsQuery } from './gql/graphql'
import { Fault, type Refusal, type Session } from './session'

export type Account = NonNullable<AccountsQuery['viewer']>['accounts']['nodes'][number]
export type Transaction = NonNullable<TransactionsQuery['account']>['transactions']['nodes'][number]
export type Provider = ProvidersQuery['providers'][number]

const ACCOUNTS = graphql(`
  query Accounts($after: String) {
    viewer {
      accounts(first: 100, after: $after) {
        nodes {
          id
          name
          type
          institution
          maskedNumber
          isActive
          balances { current { amount currency } }
        }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`)

/** All accounts, page by page. */
export async function accounts(session: Session): Promise<Account[]> {
  const all: Account[] = []
  let after: string | null = null
  do {
    const answer: AccountsQuery = await session.ask(ACCOUNTS, { after })
    if (!answer.viewer) throw new Fault('there is no viewer', 'UNAUTHENTICATED')
    const { nodes, pageInfo } = answer.viewer.accounts
    all.push(...nodes)
    after = pageInfo.hasNextPage ? pageInfo.endCursor : null
  } while (after !== null)
  return all
}

const TRANSACTIONS = graphql(`
  query Transactions($account: ID!, $first: Int!, $after: String) {
    account(id: $account) {
      transactions(first: $first, after: $after) {
        nodes {
          id
          postedOn
          status
          description
          merchantName
          amount { amount currency }
        }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`)

/** A page of transactions; `next` is where the one after it begins, null at the end. */
export interface Page {
  transactions: Transaction[]
  next: string | null
}

/** One page of an account, latest day first. */
export async function transactions(session: Session, account: string, after: string | null = null, first = 25): Promise<Page> {
  const answer = await session.ask(TRANSACTIONS, { account, first, after })
  if (!answer.account) throw new Fault('there is no such account', 'NOT_FOUND')
  const { nodes, pageInfo } = answer.account.transactions
  return { transactions: nodes, next: pageInfo.hasNextPage ? pageInfo.endCursor : null }
}

const PROVIDERS = graphql(`
  query Providers {
    providers { slug name description linkMethod available }
  }
`)

/** The banks that can be linked here by signing in at them. */
export async function banks(session: Session): Promise<Provider[]> {
  const { providers } = await session.ask(PROVIDERS, {})
  return providers.filter(provider => provider.available && provider.linkMethod === 'OAUTH')
}

const BEGIN = graphql(`
  mutation BeginLink($provider: String!, $returnUrl: String) {
    beginLink(input: { provider: $provider, returnUrl: $returnUrl }) {
      authorizationUrl
      userErrors { code message }
    }
  }
`)

/** Starts linking; the browser has to go to `authorizationUrl` within ten minutes, and comes back to `returnUrl`. */
export async function beginLink(session: Session, provider: string, returnUrl: string): Promise<{ authorizationUrl: string | null; refusals: Refusal[] }> {
  const { beginLink: answer } = await session.ask(BEGIN, { provider, returnUrl })
  return { authorizationUrl: answer.authorizationUrl, refusals: answer.userErrors }
}

const COMPLETE = graphql(`
  mutation CompleteLink($state: String!, $code: String!) {
    completeLink(input: { state: $state, code: $code }) {
      link { id }
      userErrors { code message }
    }
  }
`)

/** What the server told the return page. */
export interface Returned {
  status?: string
  link?: string
  reason?: string
  state?: string
  code?: string
}

/** Takes what the return page was told; answers the link, or why there is none. */
export async function completeLink(session: Session, returned: Returned): Promise<{ link: string | null; problem: string | null }> {
  if (returned.status === 'active' && returned.link) return { link: returned.link, problem: null }
  // The browser that came back is not the one that left: only the user who began may complete the link.
  if (returned.status === 'confirm' && returned.state && returned.code) {
    const { completeLink: answer } = await session.ask(COMPLETE, { state: returned.state, code: returned.code })
    return { link: answer.link?.id ?? null, problem: answer.userErrors[0]?.message ?? null }
  }
  return { link: null, problem: `Nothing was linked (${returned.reason ?? 'no reason given'}).` }
}

const LAST_SYNC = graphql(`
  query LastSync($link: ID!) {
    node(id: $link) {
      ... on Link { lastSync { status problem } }
    }
  }
`)

/** Waits until a link's sync is done; answers what went wrong, null when nothing did. */
export async function synced(session: Session, link: string, everyMs = 500): Promise<string | null> {
  for (;;) {
    const { node } = await session.ask(LAST_SYNC, { link })
    const sync = node && 'lastSync' in node ? node.lastSync : null
    if (sync?.status === 'SUCCEEDED' || sync?.status === 'FAILED') return sync.problem
    await new Promise(resolve => setTimeout(resolve, everyMs))
  }
}

/** An exact amount for people: decimals are never lost, since nothing turns it into a binary number on the way. */
export function written({ amount, currency }: { amount: string; currency: string }): string {
  if (!/^[A-Z]{3}$/.test(currency)) return `${amount} ${currency}`
  const format = new Intl.NumberFormat(undefined, { style: 'currency', currency, maximumFractionDigits: 8 })
  return format.format(amount as `${number}`)
}
