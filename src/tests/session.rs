//! Sessions, through the whole product: signing in, renewing, signing out, and everything an attacker would try there.

mod access_token;
mod guesses;
mod limits;
mod passwords;
mod refresh;
mod revoke;
mod secrets;
mod sign_in;
