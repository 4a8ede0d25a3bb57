//! `require`: from nodes to requirements, with the place of each.
//!
//! Invariant: what cannot be read is a finding; it is never a requirement that asks for less.

use std::collections::BTreeSet;

use kdl::{KdlDocument, KdlNode, KdlValue};

use super::layers::Building;
use super::read::{Body, Reader, Setting, What, arguments};
use super::schema::REQUIRE;
use super::value;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::requirement::{Approvals, ChecksPassed, Requirement, Requirements, Scope, Windows};
use crate::who::Who;
use crate::window::Window;

/// One requirement as written; texts may still hold `{…}`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asked {
    Approvals {
        count: String,
        any_of: Vec<String>,
        all_of: Vec<String>,
        flags: [bool; 3],
    },
    Undiverged(Scope),
    ChecksPassed {
        ignore: Vec<String>,
    },
    Codeowners,
    ConversationResolved,
    Signed,
    /// All windows of one `require`: cron, duration, time zone.
    Windows(Vec<[String; 3]>),
    CostBelow(String),
    /// Names of `policies`.
    Policy(String),
}

/// Is this a node of `require`?
pub(super) fn is_requirement(name: &str) -> bool {
    REQUIRE.iter().any(|node| node.name == name)
}

impl Reader<'_> {
    /// The children of a `require`, or the nodes of a fragment that is used there.
    pub(super) fn requirements(&self, nodes: &KdlDocument, body: &mut Body, found: &mut Diagnostics) {
        let mut windows: Option<(Span, Vec<[String; 3]>)> = None;
        for node in nodes.nodes() {
            let at = self.place.name_of(node);
            match node.name().value() {
                "use" => self.insert(node, body, found, |r, nodes, body, found| r.requirements(nodes, body, found)),
                "window" => windows.get_or_insert_with(|| (at, Vec::new())).1.extend(self.window(node, found)),
                name => {
                    let asked = self.requirement(name, node);
                    body.settings.extend(asked.map(|asked| Setting { at, what: What::Require(asked) }));
                }
            }
        }
        let windows = windows.filter(|(_, all)| !all.is_empty());
        body.settings.extend(windows.map(|(at, all)| Setting { at, what: What::Require(Asked::Windows(all)) }));
    }

    fn requirement(&self, name: &str, node: &KdlNode) -> Option<Asked> {
        let first = || arguments(node).next().map(|entry| self.text(entry));
        Some(match name {
            "approvals" => Asked::Approvals {
                count: first().unwrap_or_else(|| "1".to_owned()),
                any_of: self.children_texts(node, "any-of"),
                all_of: self.children_texts(node, "all-of"),
                flags: [
                    switch(node, "not-author").unwrap_or(true),
                    switch(node, "not-pusher").unwrap_or(true),
                    switch(node, "on-latest-push").unwrap_or(false),
                ],
            },
            "undiverged" if self.property(node, "scope").as_deref() == Some("repository") => {
                Asked::Undiverged(Scope::Repository)
            }
            "undiverged" => Asked::Undiverged(Scope::Stack),
            "checks-passed" => Asked::ChecksPassed { ignore: self.children_texts(node, "ignore") },
            "codeowners" => Asked::Codeowners,
            "conversation-resolved" => Asked::ConversationResolved,
            "signed" => Asked::Signed,
            "cost-below" => Asked::CostBelow(first().unwrap_or_default()),
            // `validate` refused everything else.
            _ => return None,
        })
    }

    fn window(&self, node: &KdlNode, found: &mut Diagnostics) -> Option<[String; 3]> {
        let tz = self.property(node, "tz").unwrap_or_else(|| "UTC".to_owned());
        match (self.property(node, "cron"), self.property(node, "duration")) {
            (Some(cron), Some(duration)) => Some([cron, duration, tz]),
            _ => {
                let finding = Diagnostic::error("window", "a window needs `cron` and `duration`")
                    .help("write window cron=\"0 9 * * MON-FRI\" duration=\"8h\" tz=\"Europe/Paris\"");
                found.push(finding.at(self.place.name_of(node)));
                None
            }
        }
    }
}

/// A child such as `not-author #false`; without a value it is on, and so it is when two of them disagree.
fn switch(node: &KdlNode, name: &str) -> Option<bool> {
    let children = node.children().into_iter().flat_map(KdlDocument::nodes);
    let named = children.filter(|child| child.name().value() == name);
    let on = |child: &KdlNode| arguments(child).next().and_then(|entry| entry.value().as_bool()).unwrap_or(true);
    named.map(on).reduce(|one, other| one || other)
}

impl Building<'_> {
    /// Notes one requirement of a layer.
    pub(super) fn require(&mut self, asked: &Asked, at: &Span, found: &mut Diagnostics) {
        if let Some(read) = self.read_requirement(asked, at, found) {
            self.required.push((read, at.clone(), self.enforcing));
        }
    }

    fn read_requirement(&self, asked: &Asked, at: &Span, found: &mut Diagnostics) -> Option<Requirement> {
        Some(match asked {
            Asked::Approvals { count, any_of, all_of, flags: [not_author, not_pusher, on_latest_push] } => {
                let any_of = self.people(any_of, at, found)?;
                let all_of = self.people(all_of, at, found)?;
                let count = self.number(count, at, found)?;
                let [not_author, not_pusher, on_latest_push] = [*not_author, *not_pusher, *on_latest_push];
                Requirement::Approvals(Approvals { count, any_of, all_of, not_author, not_pusher, on_latest_push })
            }
            Asked::Undiverged(scope) => Requirement::Undiverged(*scope),
            Asked::ChecksPassed { ignore } => Requirement::ChecksPassed(ChecksPassed {
                ignore: ignore.iter().map(|glob| self.text(glob, at, found)).collect(),
            }),
            Asked::Codeowners => Requirement::Codeowners,
            Asked::ConversationResolved => Requirement::ConversationResolved,
            Asked::Signed => Requirement::Signed,
            Asked::Windows(all) => {
                let any = all.iter().map(|one| self.read_window(one, at, found)).collect::<Option<_>>()?;
                Requirement::Windows(Windows { any })
            }
            Asked::CostBelow(limit) => Requirement::CostBelow(self.number(limit, at, found)?),
            Asked::Policy(name) => Requirement::Policy(self.text(name, at, found)),
        })
    }

    fn people(&self, texts: &[String], at: &Span, found: &mut Diagnostics) -> Option<BTreeSet<Who>> {
        let read = |text: &String| {
            Who::parse(&self.text(text, at, found))
                .map_err(|error| refuse(found, "who", &error.to_string(), &error.help, at))
        };
        texts.iter().map(read).collect::<Result<_, ()>>().ok()
    }

    fn number<T: std::str::FromStr>(&self, text: &str, at: &Span, found: &mut Diagnostics) -> Option<T> {
        let text = self.text(text, at, found);
        let read = text.parse().map_err(|_| {
            refuse(found, "not-a-number", &format!("`{text}` is not a number"), "write digits", at);
        });
        read.ok()
    }

    fn read_window(&self, [cron, duration, tz]: &[String; 3], at: &Span, found: &mut Diagnostics) -> Option<Window> {
        let [cron, duration, tz] = [cron, duration, tz].map(|text| self.text(text, at, found));
        for (kind, text) in [
            (super::schema::Kind::Cron, &cron),
            (super::schema::Kind::Duration, &duration),
            (super::schema::Kind::Zone, &tz),
        ] {
            if let Err((code, summary, help)) = value::check(kind, &KdlValue::String(text.clone()), text) {
                refuse(found, code, &summary, &help, at);
                return None;
            }
        }
        Some(Window { cron, seconds: value::duration_seconds(&duration)?, tz })
    }

    /// All layers together; what each line asks for is explained when it still counts.
    pub(super) fn settle_requirements(&mut self) {
        let of = |enforcing: bool| self.required.iter().filter(move |(_, _, e)| *e == enforcing).map(|(r, _, _)| r);
        self.stack.require = Requirements::union(of(false), of(true));
        let items = self.stack.require.items();
        for (index, item) in items.iter().enumerate() {
            let written = self.required.iter().rev().find(|(asked, _, _)| asked == item || merged(asked, item));
            let text = item.to_string();
            let value = text.strip_prefix(item.name()).unwrap_or_default().trim().to_owned();
            let at = written.map(|(_, at, _)| at.clone());
            let explained = super::Explained { key: format!("require {}", item.name()), value, at };
            self.explained.insert(format!("require {index:03}"), explained);
        }
    }
}

/// Several lines make one item: the last of them stands for all.
fn merged(asked: &Requirement, item: &Requirement) -> bool {
    matches!((asked, item), (Requirement::ChecksPassed(_), Requirement::ChecksPassed(_)))
}

fn refuse(found: &mut Diagnostics, code: &str, summary: &str, help: &str, at: &Span) {
    found.push(Diagnostic::error(code, summary).help(help).at(at.clone()));
}
