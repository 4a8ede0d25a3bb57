//! fake-github
