//! The outside world of BuildIt: GitHub, the command line, pages, texts, and the composition root.

pub mod app;
pub mod cli;
pub mod clock;
pub mod github;
pub mod keys;
pub mod local;
pub mod render;
pub mod settings;
pub mod web;
