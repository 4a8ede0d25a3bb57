//! How a job is led to the state that this server keeps, and what a plan file says of the state that it was made on.
//!
//! Invariants: the address and the token come by environment only (what stands in a block is baked into the plan
//! file); a plan gets no address to lock at; nothing of a repository can lead a token elsewhere.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use model::id::RelPath;
use model::plan::{StateSeen, StateStamp};
use model::ports::{IacError, StateAccess};
use model::stack::Stack;
use secrecy::SecretString;
use serde::Deserialize;

use super::job::refused;

/// The tools merge override files in the order of their names: ours comes last.
const OVERRIDE: &str = "zz_buildit_override.tf";
/// Our names in the environment of a job whose state is kept here.
const PREFIX: &str = "TF_HTTP_";
/// A server that is started anew answers within these tries (1, 2, 4, 8 and 16 s apart). The tool gives up before
/// the grace of an interrupted job ends, and so still has the time to save `errored.tfstate`.
const TRIES: &str = "5";
/// A state whose top is longer is not looked through.
const LARGEST: u64 = 1 << 30;

/// What the job does with the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    Write,
}

/// Leads a job to the state: an override file, and secret environment.
pub(super) fn lead(
    stack: &Stack,
    access: StateAccess,
    purpose: Purpose,
    files: &mut BTreeMap<RelPath, Vec<u8>>,
    secret_env: &mut BTreeMap<String, SecretString>,
) -> Result<(), IacError> {
    let backend = match access {
        StateAccess::Own => return Ok(()),
        StateAccess::Empty if purpose == Purpose::Write => {
            return Err(refused(stack, "its state would be kept by a server, and there is none; nothing is applied"));
        }
        // The state of the job's own directory goes with it.
        StateAccess::Empty => "local",
        StateAccess::Kept { address, token } => {
            let names = stack.env.keys().chain(secret_env.keys());
            if let Some(name) = names.into_iter().find(|name| name.to_ascii_uppercase().starts_with(PREFIX)) {
                let why =
                    format!("env {name:?} is set by BuildIt, which keeps the state; remove it or write `state own`");
                return Err(refused(stack, &why));
            }
            let mut add = |name: &str, value: SecretString| secret_env.insert(format!("{PREFIX}{name}"), value);
            add("ADDRESS", address.clone().into());
            if purpose == Purpose::Write {
                add("LOCK_ADDRESS", address.clone().into());
                add("UNLOCK_ADDRESS", address.into());
            }
            add("USERNAME", "buildit".to_owned().into());
            add("PASSWORD", token);
            add("RETRY_MAX", TRIES.to_owned().into());
            "http"
        }
    };
    let path = stack.path.join(OVERRIDE).ok_or_else(|| refused(stack, "its path is not usable"))?;
    files.insert(path, format!("terraform {{\n  backend \"{backend}\" {{}}\n}}\n").into_bytes());
    Ok(())
}

/// The top of the state inside a plan file, which is a zip archive.
pub(super) fn of_plan(plan: &[u8]) -> Option<StateSeen> {
    #[derive(Deserialize)]
    struct Top {
        serial: u64,
        lineage: String,
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(plan)).ok()?;
    let state = archive.by_name("tfstate").ok()?;
    let top: Top = serde_json::from_reader(state.take(LARGEST)).ok()?;
    let serial = i64::try_from(top.serial).ok()?;
    // Both tools write an empty lineage where there was no state.
    let stamp = (!top.lineage.is_empty()).then_some(StateStamp { lineage: top.lineage, serial, digest: None });
    Some(StateSeen::of(stamp))
}
