//! The adapters: each port met by a technology. Sees application and domain.

pub mod database;
pub mod machine;
pub mod mail;
pub mod private_file;
pub mod providers;
pub mod security;
