//! A real server on loopback and real clients: what the plumbing promises, seen from outside.

mod calls;
mod freshness;
mod lifecycle;
mod peers;
mod raw;
mod support;
