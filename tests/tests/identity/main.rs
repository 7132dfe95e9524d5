//! Who may do what, over every method of every service: what the protos declare is what is enforced.

mod requests;
mod tokens;
mod walls;
mod workspaces;
