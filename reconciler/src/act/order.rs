//! Outputs of stacks that come first, as inputs of those behind them.
//!
//! Invariant: only outputs that the configuration names cross, of the same repository; a sensitive one only where the
//! edge says so, and then it is a secret of the job.

use std::collections::BTreeMap;

use model::id::StackName;
use model::plan::StateSeen;
use secrecy::SecretString;
use serde_json::Value;

use super::{Pass, Trouble};
use crate::states::{StateOutput, States};
use crate::world::RunRow;

/// What a run's job gets from others.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) plain: BTreeMap<String, Value>,
    pub(super) secret: BTreeMap<String, SecretString>,
    /// The states that they came from.
    pub(super) seen: BTreeMap<StackName, StateSeen>,
}

/// Reads the inputs of a run; the error is for people.
pub(super) async fn inputs(pass: &Pass<'_>, run: &RunRow) -> Result<Result<Inputs, String>, Trouble> {
    let mut inputs = Inputs::default();
    let mut known: BTreeMap<&StackName, BTreeMap<String, StateOutput>> = BTreeMap::new();
    for edge in &run.what.detail.surveyed.stack.depends_on {
        let (from, Some(binding)) = (&edge.stack, &edge.input) else { continue };
        if !known.contains_key(from) {
            // The stamp first: a write in between makes this plan stale, never the other way round.
            let seen = States::seen(&mut *pass.parts.store.read().await?, run.repo, from).await?;
            let Some(outputs) = pass.parts.states.outputs(run.repo, from).await? else {
                return Ok(Err(format!(
                    "`{}` is the output `{}` of `{from}`, of which no state is kept here\n\
                     Apply `{from}` first. A stack with a backend of its own keeps its outputs there: read them with \
                     `terraform_remote_state`, or keep its state here with `state buildit`.",
                    binding.variable, binding.output
                )));
            };
            inputs.seen.insert(from.clone(), seen);
            known.insert(from, outputs);
        }
        let Some(output) = known.get(from).and_then(|outputs| outputs.get(&binding.output)) else {
            return Ok(Err(format!(
                "`{from}` has no output `{}`\nIt is wanted for the variable `{}`. Add it to `{from}` and apply that first.",
                binding.output, binding.variable
            )));
        };
        if !output.sensitive {
            inputs.plain.insert(binding.variable.clone(), output.value.clone());
        } else if binding.sensitive {
            let text = match &output.value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            inputs.secret.insert(binding.variable.clone(), SecretString::from(text));
        } else {
            return Ok(Err(format!(
                "the output `{}` of `{from}` is sensitive\nWrite `sensitive=#true` at the input `{}` if it may cross.",
                binding.output, binding.variable
            )));
        }
    }
    Ok(Ok(inputs))
}
