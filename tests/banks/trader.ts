// What Schwab has to tell of its customers' money: the data half of the Trader API, for whoever brings a token that counts.

import type { IncomingMessage, ServerResponse } from 'node:http'

export interface Brokerage {
  number: string
  /** What addresses name it by. */
  hash: string
  nickname: string
  worth: number
  shares: number
  rows: { id: number; type: string; daysAgo: number; amount: number; description: string }[]
}

/** Two accounts, of which one goes back for years. */
export const BROKERAGES: Brokerage[] = [
  {
    number: '12345678', hash: 'A1B2C3', nickname: 'Nest egg', worth: 10250.75, shares: 12,
    rows: [
      { id: 101, type: 'WIRE_IN', daysAgo: 4, amount: 500, description: 'WIRE FROM ELSEWHERE' },
      { id: 102, type: 'DIVIDEND_OR_INTEREST', daysAgo: 2, amount: 1.5, description: 'CREDIT INTEREST' },
      { id: 103, type: 'ACH_RECEIPT', daysAgo: 800, amount: 250.25, description: 'FIRST DEPOSIT' },
    ],
  },
  {
    number: '87654321', hash: 'D4E5F6', nickname: 'Rainy days', worth: 99.5, shares: 0,
    rows: [{ id: 201, type: 'ACH_DISBURSEMENT', daysAgo: 3, amount: -40, description: 'TO THE CHECKING ACCOUNT' }],
  },
]

/** Rows were booked when they were booked, however often they are asked for. */
const OPENED = Date.now()

const account = ({ number, worth, shares }: Brokerage): object => ({
  securitiesAccount: {
    type: 'CASH',
    accountNumber: number,
    isClosingOnlyRestricted: false,
    positions: shares === 0 ? [] : [{
      longQuantity: shares, shortQuantity: 0, averagePrice: 410.5, marketValue: shares * 425,
      instrument: { assetType: 'EQUITY', cusip: '594918104', symbol: 'MSFT', description: 'MICROSOFT CORP' },
    }],
    currentBalances: { liquidationValue: worth, availableFunds: worth / 2 },
  },
})

/** Rows between two instants, both of which have to be said, at most a year apart. */
function rows(brokerage: Brokerage, query: URLSearchParams): object[] | null {
  const [start, end] = ['startDate', 'endDate'].map((name) => Date.parse(query.get(name) ?? ''))
  const day = 86_400_000
  if (start === undefined || end === undefined || !(end - start <= 366 * day) || !query.get('types')?.includes('TRADE')) return null
  return brokerage.rows.flatMap(({ id, type, daysAgo, amount, description }) => {
    const time = OPENED - daysAgo * day
    if (time < start || time > end) return []
    const written = new Date(time).toISOString().replace(/\.\d+Z$/, '+0000')
    return [{ activityId: id, time: written, type, status: 'VALID', netAmount: amount, description, transferItems: [] }]
  })
}

/** Answers one request below `/trader/v1` with what whoever asks has there; null for somebody who may know nothing. */
export function tell(request: IncomingMessage, response: ServerResponse, brokerages: Brokerage[] | null): number {
  const url = new URL(request.url ?? '/', 'http://bank')
  const answer = brokerages === null ? 401 : find(url, brokerages)
  const status = typeof answer === 'number' ? answer : 200
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(typeof answer === 'number' ? { errors: [{ status: answer }] } : answer))
  return status
}

function find({ pathname, searchParams }: URL, brokerages: Brokerage[]): object | 400 | 404 {
  switch (pathname.replace('/trader/v1', '')) {
    case '/accounts/accountNumbers':
      return brokerages.map(({ number, hash }) => ({ accountNumber: number, hashValue: hash }))
    case '/accounts':
      return searchParams.get('fields') === 'positions' ? brokerages.map(account) : 400
    case '/userPreference':
      return { accounts: brokerages.map(({ number, nickname }) => ({ accountNumber: number, nickName: nickname })) }
  }
  const hash = /^\/trader\/v1\/accounts\/([^/]+)\/transactions$/.exec(pathname)?.[1]
  const brokerage = brokerages.find((known) => known.hash === hash)
  return brokerage === undefined ? 404 : rows(brokerage, searchParams) ?? 400
}
