//! Ports met within one process: what there is without Redis.

pub mod bus;
pub mod rate_limit;
