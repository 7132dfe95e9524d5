//! Who calls: bearer tokens of one issuer, what they let their holder do, and the services of the
//! suite among themselves.
//!
//! The authenticator reads the token of every call in a layer (`layers/authenticate.rs`), which takes
//! the client certificate of the connection where there is no token, and puts the [`Identity`] into
//! the call's extensions. The generated guard asks [`IdentityAdmission`] with it, and handlers ask
//! [`crate::caller`].
//!
//! Invariant: no token, no secret and no claim is ever logged.

mod admission;
mod authenticator;
mod development;
mod fault;
mod fetch;
mod json;
mod keys;
mod mapping;
mod refresh;
pub mod roles;
mod secret;
mod token;

pub use admission::IdentityAdmission;
pub use authenticator::{Authenticator, AuthenticatorError, Identity, Settings, User};
pub use development::{DevelopmentGrants, DevelopmentKey, DevelopmentKeyError, DevelopmentToken};
pub use fetch::{FetchError, KeySource, KeySourceError};
pub use keys::KeySetError;
pub use mapping::{Mapping, MappingError};
pub use refresh::KeysError;
pub use secret::ProcessSecret;
pub use token::{LEEWAY, TOKEN_BYTES_MAX};

pub(crate) use fault::Fault;
