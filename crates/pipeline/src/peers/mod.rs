//! Outgoing gRPC: the directory, and nobody else.

pub mod contacts;
