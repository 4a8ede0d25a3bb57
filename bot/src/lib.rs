//! The outside world of BuildIt: GitHub, the command line, pages, texts, and the composition root.

pub mod cli;
pub mod render;
pub mod web;
