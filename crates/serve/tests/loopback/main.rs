//! A real server on loopback and real clients: what the plumbing promises, seen from outside.

mod bodies;
mod calls;
mod crowds;
mod doors;
mod frames;
mod freshness;
mod goodput;
mod hostile;
mod lifecycle;
mod overload;
mod peers;
mod raw;
mod replicas;
mod rotation;
mod silence;
mod spans;
mod stalled;
mod support;
mod tls;
