//! Ports met within one process: what there is without Redis.

pub mod bus;
