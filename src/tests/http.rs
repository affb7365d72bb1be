//! The HTTP edge: formats, limits, pages, and what every answer has in common.

mod answers;
mod browsers;
mod documents;
mod hostile;
mod limits;
mod negotiation;
mod pages;
mod proxies;
mod server;
