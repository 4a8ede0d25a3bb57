//! Integration tests of the runner: one binary.
