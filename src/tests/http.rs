//! The HTTP edge: formats, limits, pages, and what every answer has in common.

mod answers;
mod limits;
mod negotiation;
mod pages;
mod proxies;
