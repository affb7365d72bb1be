// A person with an account at Dashtam, who asks the graph.

import assert from 'node:assert/strict'

export const PASSWORD = 'ten lanterns by the sea'

export interface Link {
  id: string
  status: string
  reason: string | null
  nextAction: string | null
  consent: { expiresAt: string | null }
  coverage: { from: string | null; to: string | null }
  lastSync: { id: string; status: string; problem: string | null; accounts: number; added: number; modified: number; removed: number } | null
}

/** A link on its way to the bank. */
export interface Begun {
  link: Link
  authorizationUrl: string
  providerAuthorizationUrl: string | null
}

const LINK = `id status reason nextAction consent { expiresAt } coverage { from to }
  lastSync { id status problem accounts added modified removed }`

/** A signed-in user of the graph. */
export class User {
  readonly #url: string
  readonly #token: string

  private constructor(url: string, token: string) {
    this.#url = url
    this.#token = token
  }

  static async signIn(url: string, email: string): Promise<User> {
    const create = 'mutation($input: CreateSessionInput!) { createSession(input: $input) { accessToken userErrors { code } } }'
    const { createSession } = await ask(url, null, create, { input: { email, password: PASSWORD } })
    assert.deepEqual(createSession.userErrors, [])
    return new User(url, createSession.accessToken)
  }

  #ask(query: string, variables: object = {}): Promise<any> {
    return ask(this.#url, this.#token, query, variables)
  }

  async beginLink(provider = 'schwab', returnUrl: string | null = null): Promise<Begun> {
    const begin = `mutation($input: BeginLinkInput!) {
      beginLink(input: $input) { link { ${LINK} } authorizationUrl providerAuthorizationUrl userErrors { code } }
    }`
    const { beginLink: { userErrors, ...begun } } = await this.#ask(begin, { input: { provider, returnUrl } })
    assert.deepEqual(userErrors, [])
    return begun
  }

  async relink(linkId: string): Promise<Begun> {
    const again = `mutation($input: RelinkInput!) {
      relink(input: $input) { link { ${LINK} } authorizationUrl providerAuthorizationUrl userErrors { code } }
    }`
    const { relink: { userErrors, ...begun } } = await this.#ask(again, { input: { linkId } })
    assert.deepEqual(userErrors, [])
    return begun
  }

  /** Completes a link with what a bank sent; answers the link, or the code of why not. */
  async completeLink(state: string, code: string): Promise<Link | string> {
    const complete = `mutation($input: CompleteLinkInput!) { completeLink(input: $input) { link { ${LINK} } userErrors { code } } }`
    const { completeLink: { link, userErrors } } = await this.#ask(complete, { input: { state, code } })
    return link ?? userErrors[0].code
  }

  /** Asks for a sync; answers why not, or null. */
  async requestSync(linkId: string): Promise<string | null> {
    const request = 'mutation($input: SyncLinkInput!) { syncLink(input: $input) { sync { id } userErrors { code } } }'
    const { syncLink: { sync, userErrors } } = await this.#ask(request, { input: { linkId, force: true } })
    return sync === null ? userErrors[0].code : null
  }

  /** Takes a link away, and keeps what came through it. */
  async unlink(linkId: string): Promise<Link> {
    const unlink = `mutation($input: UnlinkInput!) { unlink(input: $input) { link { ${LINK} } userErrors { code } } }`
    const { unlink: { link, userErrors } } = await this.#ask(unlink, { input: { linkId, keepData: true } })
    assert.deepEqual(userErrors, [])
    return link
  }

  async link(id: string): Promise<Link> {
    return (await this.#ask(`query($id: ID!) { node(id: $id) { ... on Link { ${LINK} } } }`, { id })).node
  }

  /** The link once its last sync is done. */
  async settled(id: string): Promise<Link> {
    for (const end = Date.now() + 20_000; ; ) {
      const link = await this.link(id)
      // The link was read before its sync, which may have ended in between: asked once more, both are of the same moment.
      if (link.lastSync?.status === 'SUCCEEDED' || link.lastSync?.status === 'FAILED') return this.link(id)
      assert.ok(Date.now() < end, `the sync does not end: ${JSON.stringify(link)}`)
      await new Promise((later) => setTimeout(later, 25))
    }
  }

  /** The link after one more sync. */
  async sync(id: string): Promise<Link> {
    assert.equal(await this.requestSync(id), null)
    return this.settled(id)
  }

  /** Everything that came through all links, with its ids. */
  async money(): Promise<Money> {
    const { viewer } = await this.#ask(`{ viewer {
      accounts(first: 100) { nodes { id name maskedNumber isActive balances { current { amount } } link { id } } }
      transactions(first: 100) { nodes { id description amount { amount } subtype } }
      holdings(first: 100) { nodes { id quantity security { symbol } } }
    } }`)
    return { accounts: viewer.accounts.nodes, transactions: viewer.transactions.nodes, holdings: viewer.holdings.nodes }
  }

  /** How attempts to complete links ended, oldest first, as one's own audit trail has it. */
  async trail(): Promise<string[]> {
    const query = 'query($filter: OwnAuditFilterInput) { viewer { auditEvents(first: 100, filter: $filter) { nodes { outcome reason recordedAt } } } }'
    const { viewer } = await this.#ask(query, { filter: { acts: ['COMPLETE_LINK'], outcomes: ['SUCCEEDED', 'FAILED'] } })
    const events: { outcome: string; reason: string | null; recordedAt: string }[] = viewer.auditEvents.nodes
    return events.sort((one, other) => one.recordedAt.localeCompare(other.recordedAt)).map(({ outcome, reason }) => reason ?? outcome)
  }
}

export interface Money {
  accounts: { id: string; name: string; maskedNumber: string; isActive: boolean; balances: { current: { amount: string } }; link: { id: string } }[]
  transactions: { id: string; description: string; amount: { amount: string }; subtype: string }[]
  holdings: { id: string; quantity: string; security: { symbol: string } }[]
}

/** Asks the graph; whatever goes wrong is thrown. */
async function ask(url: string, token: string | null, query: string, variables: object): Promise<any> {
  const headers: Record<string, string> = { 'Content-Type': 'application/json', Accept: 'application/graphql-response+json' }
  if (token !== null) headers.Authorization = `Bearer ${token}`
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
  const { data, errors } = await response.json() as { data?: unknown; errors?: unknown }
  assert.equal(errors, undefined, JSON.stringify(errors))
  return data
}
