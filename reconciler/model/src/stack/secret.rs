//! Which secret reaches which variable of a stack.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Stack, Value};
use crate::diagnostic::Span;
use crate::id::SecretName;
use crate::stack::NotYet;

/// Where a secret goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// An input variable.
    Var,
    /// The environment.
    Env,
}

/// `var { db_password secret=NETWORK_DB_PASSWORD }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretBinding {
    /// Where it goes.
    pub bound: Bound,
    /// The variable's name there.
    pub name: String,
    /// Which secret.
    pub secret: SecretName,
    /// Where that is written.
    pub at: Option<Span>,
}

impl SecretBinding {
    /// The same secret in the same place, wherever that is written?
    pub fn is_same(&self, other: &Self) -> bool {
        (self.bound, &self.name, &self.secret) == (other.bound, &other.name, &other.secret)
    }

    /// What a stack lacks while nobody has allowed that a change brings this to it.
    pub fn waits(&self) -> NotYet {
        let (secret, name) = (&self.secret, &self.name);
        let what = format!("`buildit allow` for the secret `{secret}`, which this change binds to {name}");
        NotYet { what, at: self.at.clone() }
    }
}

impl fmt::Display for SecretBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = match self.bound {
            Bound::Var => "var",
            Bound::Env => "env",
        };
        write!(f, "{bound} {} secret={}", self.name, self.secret)
    }
}

impl Stack {
    /// The bindings of these values; `at` knows where "var NAME" and "env NAME" are written.
    pub(crate) fn bind_secrets(&mut self, at: impl Fn(&str) -> Option<Span>) {
        let of = |bound, kind: &'static str, values: &BTreeMap<String, Value>| {
            let secrets = values.iter().filter_map(|(name, value)| match value {
                // What is no name was refused where it is written.
                Value::Secret(secret) => Some((name.clone(), SecretName::parse(secret).ok()?)),
                Value::Plain(_) | Value::AtStart(_) => None,
            });
            let place = |name: &str| at(&format!("{kind} {name}"));
            secrets.map(|(name, secret)| SecretBinding { at: place(&name), bound, name, secret }).collect::<Vec<_>>()
        };
        self.secrets = [of(Bound::Var, "var", &self.var), of(Bound::Env, "env", &self.env)].concat();
    }
}
