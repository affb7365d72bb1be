//! The edge: GraphQL and plain HTTP. Sees application and domain.

pub mod device;
pub mod graphql;
pub mod http;
