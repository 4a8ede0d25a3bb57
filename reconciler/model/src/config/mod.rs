//! The configuration language `.buildit/*.kdl`.
//!
//! Owns guards, parsing, validation, layers and discovery. Everything is pure: bytes and a directory layout
//! in, valid types and diagnostics out.

mod layout;

pub use layout::{Directory, Layout};
