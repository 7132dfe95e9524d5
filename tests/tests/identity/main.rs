//! Who may do what, over every method of every service: what the protos declare is what is enforced.

mod issuers;
mod page_tokens;
mod request_ids;
mod requests;
mod tokens;
mod walk;
mod walls;
mod workspaces;
