//! Imports and exports.
