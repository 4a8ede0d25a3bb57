//! The one integration binary: the town tests drive the real server over HTTP, and
//! `tidy` reads the source. One binary links once; every test file is a module of it.

mod api;
mod chaos;
mod clone;
mod explain;
mod facts;
mod github;
mod merging;
mod preview;
mod serving;
mod source;
mod state;
mod tidy;
mod town;
mod webhook;
