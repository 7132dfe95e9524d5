//! TLS of the binary: services that know each other by certificates, certificates that change under
//! load, and settings that are refused.

mod mutual;
mod rotation;
mod settings;
mod story;
