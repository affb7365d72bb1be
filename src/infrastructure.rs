//! The adapters: each port met by a technology. Sees application and domain.

pub mod archive;
pub mod audit_file;
pub mod bus;
pub mod database;
pub mod machine;
pub mod mail;
pub mod memory;
pub mod metrics;
pub mod private_file;
pub mod providers;
pub mod rate_limit;
pub mod redis;
pub mod security;
mod stored_row;
