//! Owns pages of connections: `first`, `last`, `after`, and what a page tells of the rest.

use serde_json::{Map, Value, json};

use super::{Found, Thing};

/// A page of a connection.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) kind: &'static str,
    things: Vec<Thing>,
    end: Option<String>,
    more: bool,
    total: usize,
}

impl Page {
    /// The page that is asked for; each thing stands beside its cursor.
    pub(super) fn of(
        kind: &'static str,
        name: &str,
        all: Vec<(String, Thing)>,
        arguments: &Map<String, Value>,
    ) -> Result<Page, String> {
        let count = |name: &str| {
            arguments.get(name).and_then(Value::as_u64).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
        };
        let (first, last) = (count("first"), count("last"));
        if first.or(last).is_none_or(|count| count > 100) {
            return Err(format!(
                "You must provide a `first` or `last` value of at most 100 to properly paginate the `{name}` \
                 connection."
            ));
        }
        let total = all.len();
        let after = arguments.get("after").and_then(Value::as_str);
        let start = match after {
            None => 0,
            Some(after) => {
                let found = all.iter().position(|(cursor, _)| cursor == after);
                1 + found.ok_or_else(|| format!("`{after}` does not appear to be a valid cursor."))?
            }
        };
        let mut page: Vec<(String, Thing)> = all.into_iter().skip(start).collect();
        let more = first.is_some_and(|first| page.len() > first);
        match (first, last) {
            (Some(first), _) => page.truncate(first),
            (None, Some(last)) => page = page.split_off(page.len().saturating_sub(last)),
            (None, None) => {}
        }
        let end = page.last().map(|(cursor, _)| cursor.clone());
        Ok(Page { kind, things: page.into_iter().map(|(_, thing)| thing).collect(), end, more, total })
    }

    pub(super) fn field(&self, name: &str) -> Option<Found> {
        match name {
            "nodes" => Some(Found::Things(self.things.iter().cloned().map(Some).collect())),
            "totalCount" => Some(Found::Value(json!(self.total))),
            "pageInfo" => {
                let info = json!({"hasNextPage": self.more, "endCursor": self.end});
                info.as_object().map(|info| Found::Thing(Some(Thing::Ready("PageInfo", info.clone()))))
            }
            _ => None,
        }
    }
}
