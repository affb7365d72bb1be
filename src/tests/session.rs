//! Sessions, through the whole product: signing in, renewing, signing out, and everything an attacker would try there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod access_token;
mod guesses;
mod limits;
mod passwords;
mod refresh;
mod revoke;
mod rotation;
mod secrets;
mod sign_in;
mod step_up;
mod stuffing;
