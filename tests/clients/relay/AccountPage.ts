// What a Relay app declares beside its components; `relay-compiler` checks it against the schema and makes the artifacts the test runs.

import { graphql } from 'relay-runtime'

export const query = graphql`
  query AccountPageQuery($id: ID!) {
    node(id: $id) {
      __typename
      ...AccountPage_account @alias(as: "account")
    }
  }
`

/** Refetched through `node(id:)`, since an account is a Node; its pages are put together by `@connection`. */
export const account = graphql`
  fragment AccountPage_account on Account
  @refetchable(queryName: "AccountPagePaginationQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 10 }, cursor: { type: "String" }, filter: { type: "TransactionFilterInput" }) {
    name
    balances {
      current {
        amount
        currency
      }
    }
    transactions(first: $count, after: $cursor, filter: $filter) @connection(key: "AccountPage_transactions", filters: ["filter"]) {
      edges {
        node {
          id
          postedOn
          ...AccountPage_row
        }
      }
      pageInfo {
        endCursor
        hasNextPage
      }
    }
  }
`

export const row = graphql`
  fragment AccountPage_row on Transaction {
    description
    amount {
      amount
      currency
    }
  }
`

/** A user is a Node as well, so whoever looks at the viewer's links refetches them by the user's id. */
export const links = graphql`
  fragment AccountPage_viewer on User
  @refetchable(queryName: "AccountPageViewerQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 10 }, cursor: { type: "String" }) {
    links(first: $count, after: $cursor) @connection(key: "AccountPage_links") {
      edges {
        node {
          ...AccountPage_link
        }
      }
    }
  }
`

export const link = graphql`
  fragment AccountPage_link on Link @refetchable(queryName: "AccountPageLinkQuery") {
    status
    alias
  }
`

export const rename = graphql`
  mutation AccountPageRenameMutation($input: RenameSessionInput!) @raw_response_type {
    renameSession(input: $input) {
      session {
        name
      }
      userErrors {
        message
      }
    }
  }
`
