//! Drives the double by HTTP and git only, as any client would.

mod checks;
mod client;
mod deployments;
mod git;
mod graphql;
mod issues;
mod limits;
mod merging;
mod mishap;
mod octokit;
mod outage;
mod pulls;
mod queue;
mod rules;
mod strict;
mod view;
mod webhooks;
