//! The adapters: each port met by a technology. Sees application and domain.

pub mod database;
pub mod machine;
pub mod mail_greeting;
pub mod providers;
pub mod security;
