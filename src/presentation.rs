//! The edge: GraphQL and plain HTTP. Sees application and domain.

pub mod graphql;
pub mod http;
