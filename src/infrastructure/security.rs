//! Security: keys, tokens, passwords, sealing, and the policy.

pub mod checkpoint;
pub mod jwt;
pub mod key_places;
pub mod key_watch;
pub mod keys;
pub mod mail_token;
pub mod passwords;
pub mod policy;
pub mod refresh;
pub mod sealer;
pub mod second_factor;
