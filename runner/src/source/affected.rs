//! Which stacks a change affects: pure over two sides and the changed files.

use std::collections::{BTreeMap, BTreeSet};

use model::affected::{Affected, AffectedStack, ChangedFile, Why};
use model::diagnostic::Diagnostic;
use model::id::{RelPath, StackName};
use model::stack::{Origin, Stack};

use super::graph::{Graph, Reach, Reason, place};

/// One side of the change: its tree and the stacks that its configuration names there.
pub(super) struct Side<'a> {
    pub(super) graph: &'a Graph,
    pub(super) stacks: &'a [Stack],
}

type Found<'a> = BTreeMap<StackName, (&'a Stack, Vec<Why>)>;

/// Semantics section 2. `whole`: the plan side's configuration has no errors, so what it lacks is gone.
pub(super) fn affected(base: &Side<'_>, plan: &Side<'_>, changed: &[ChangedFile], whole: bool) -> Affected {
    let mut out = Affected::default();
    let mut found: Found<'_> = BTreeMap::new();
    let mut claimed: BTreeSet<&RelPath> = BTreeSet::new();
    for side in [plan, base] {
        by_files(side, changed, &mut found, &mut claimed);
    }
    by_configuration(base, plan, &mut found, &mut out);
    let names: BTreeSet<&StackName> = plan.stacks.iter().map(|stack| &stack.name).collect();
    // Before a parse error every stack of the base still counts, but only what the plan side has can plan.
    for stack in base.stacks.iter().filter(|stack| !names.contains(&stack.name)) {
        vanished(stack, plan, changed, whole, &mut found, &mut out);
    }
    dependents(plan, &mut found);
    for (name, (stack, mut why)) in found {
        if !names.contains(&name) {
            continue;
        }
        let mut seen = BTreeSet::new();
        why.retain(|one| seen.insert((one.file.clone(), one.rule.clone())));
        out.affected.push(AffectedStack { stack: name, path: stack.path.clone(), why });
    }
    for file in changed {
        let paths = [Some(&file.path), file.from.as_ref()];
        let nobody = paths.into_iter().flatten().all(|path| !claimed.contains(path));
        if nobody && looks_like_input(file.path.file_name()) {
            out.unclaimed.push(file.path.clone());
        }
    }
    for broken in &plan.graph.broken {
        let summary = format!("{}:{} cannot be parsed: {}", broken.file, broken.line, broken.message);
        let help = "its blocks and paths were found by a rough scan, and those of the base count too";
        out.diagnostics.push(Diagnostic::warning("unparseable-file", summary).help(help));
    }
    out
}

fn by_files<'a>(
    side: &Side<'a>,
    changed: &'a [ChangedFile],
    found: &mut Found<'a>,
    claimed: &mut BTreeSet<&'a RelPath>,
) {
    // A path is looked up only in the trees that contain it.
    let mut paths: Vec<&RelPath> = Vec::new();
    for file in changed {
        let both = [Some(&file.path), file.from.as_ref()];
        paths.extend(both.into_iter().flatten().filter(|path| side.graph.files.contains_key(path)));
    }
    if paths.is_empty() {
        return;
    }
    let owners: Vec<Option<RelPath>> = paths.iter().map(|path| side.graph.owner(path)).collect();
    for stack in side.stacks {
        let reach = side.graph.reach(stack);
        for (path, owner) in paths.iter().zip(&owners) {
            if let Some(reason) = claims(stack, &reach, path, owner.as_ref()) {
                claimed.insert(path);
                let why = Why { file: path.to_string(), rule: reason.rule, at: reason.at };
                found.entry(stack.name.clone()).or_insert_with(|| (stack, Vec::new())).1.push(why);
            }
        }
    }
}

/// Does the stack see this file, and why?
pub(super) fn claims(stack: &Stack, reach: &Reach, path: &RelPath, owner: Option<&RelPath>) -> Option<Reason> {
    let mut reason = if stack.watch.only { None } else { by_graph(stack, reach, path, owner) };
    for pattern in &stack.watch.patterns {
        if model::config::glob_matches(&pattern.glob, path.as_str()) {
            let at = pattern.at.as_ref().map(|span| format!("{}:{}", span.file, span.line));
            reason = (!pattern.negated).then(|| Reason { rule: format!("watch {}", pattern.glob), at });
        }
    }
    reason
}

fn by_graph(stack: &Stack, reach: &Reach, path: &RelPath, owner: Option<&RelPath>) -> Option<Reason> {
    if let Some(reason) = reach.files.get(path) {
        return Some(reason.clone());
    }
    if let Some((_, reason)) = reach.globs.iter().find(|(glob, _)| glob.is_match(path.as_str())) {
        return Some(reason.clone());
    }
    if path.file_name().ends_with(".md") {
        return None;
    }
    if let Some(reason) = owner.and_then(|dir| reach.directories.get(dir)) {
        return Some(reason.clone());
    }
    // Targets of links and folders without configuration files, and a stack whose directory has none.
    let mut above = path.parent();
    while let Some(dir) = above {
        if owner == Some(&dir) || owner.is_some_and(|owner| !dir.is_within(owner)) {
            return None;
        }
        if let Some(reason) = reach.directories.get(&dir).filter(|_| dir != stack.path || owner.is_none()) {
            return Some(reason.clone());
        }
        above = dir.parent();
    }
    None
}

/// Stacks that only the plan side has, that moved, or whose own settings differ.
fn by_configuration<'a>(base: &Side<'a>, plan: &Side<'a>, found: &mut Found<'a>, out: &mut Affected) {
    let before: BTreeMap<&StackName, &Stack> = base.stacks.iter().map(|stack| (&stack.name, stack)).collect();
    for stack in plan.stacks {
        let rule = match before.get(&stack.name) {
            None => "new stack",
            Some(old) if old.path != stack.path => {
                out.moved.push((stack.name.clone(), old.path.clone(), stack.path.clone()));
                "its directory moved"
            }
            Some(old) if settings(old) != settings(stack) => "its configuration changed",
            Some(_) => continue,
        };
        let file = stack.declared_at.as_ref().map_or_else(|| stack.path.to_string(), |span| span.file.clone());
        let why = Why { file, rule: rule.to_owned(), at: place(stack) };
        found.entry(stack.name.clone()).or_insert_with(|| (stack, Vec::new())).1.push(why);
    }
}

/// What of a stack changes its plan: not where it is written, nor when it is applied.
fn settings(stack: &Stack) -> impl PartialEq + use<'_> {
    let inputs: Vec<_> =
        stack.depends_on.iter().filter_map(|d| d.input.as_ref().map(|input| (&d.stack, input))).collect();
    (&stack.workspace, &stack.tool, &stack.var, &stack.env, &stack.var_files, &stack.state, inputs)
}

fn vanished<'a>(
    stack: &'a Stack,
    plan: &Side<'a>,
    changed: &'a [ChangedFile],
    whole: bool,
    found: &mut Found<'a>,
    out: &mut Affected,
) {
    let successor =
        |other: &&Stack| other.was.iter().any(|was| was == stack.name.as_str() || was == stack.path.as_str());
    if let Some(next) = plan.stacks.iter().find(successor) {
        out.moved.push((next.name.clone(), stack.path.clone(), next.path.clone()));
        return;
    }
    let renamed = changed.iter().find_map(|file| {
        let from = file.from.as_ref().filter(|from| from.is_within(&stack.path))?;
        let next = plan.stacks.iter().find(|next| file.path.parent().as_ref() == Some(&next.path))?;
        (next.name != stack.name).then_some((from, next))
    });
    if let Some((_, next)) = renamed {
        let summary = format!("the stack {} is gone and its files reappear in {}", stack.name, next.name);
        let help = format!(
            "write `was=\"{}\"` on the stack {}: its state, lock and history move along",
            stack.name, next.name
        );
        out.diagnostics.push(Diagnostic::error("stack-renamed", summary).help(help));
        return;
    }
    let directory = plan.graph.layout.directories.get(&stack.path);
    let own_change = changed.iter().any(|file| {
        [Some(&file.path), file.from.as_ref()].into_iter().flatten().any(|p| p.parent().as_ref() == Some(&stack.path))
    });
    let marker = directory.is_some_and(|d| d.backend.is_some() || d.cloud || d.provider);
    let broken = plan.graph.broken.iter().any(|broken| broken.file.parent().as_ref() == Some(&stack.path));
    let lost = stack.origin == Origin::Discovered && own_change && !marker && !broken;
    if whole && (directory.is_none() || lost) {
        let why = found.remove(&stack.name).map(|(_, why)| why).filter(|why| !why.is_empty()).unwrap_or_else(|| {
            vec![Why { file: stack.path.to_string(), rule: "its directory is gone".to_owned(), at: place(stack) }]
        });
        let gone = AffectedStack { stack: stack.name.clone(), path: stack.path.clone(), why };
        out.removed.push(gone);
        return;
    }
    let summary =
        format!("the stack {} is not in the configuration any more, but its directory {} is", stack.name, stack.path);
    let help = "delete the directory to remove the stack, or keep the stack in .buildit/";
    out.diagnostics.push(Diagnostic::error("stack-vanished", summary).help(help));
}

fn dependents<'a>(plan: &Side<'a>, found: &mut Found<'a>) {
    loop {
        let mut more = Vec::new();
        for stack in plan.stacks.iter().filter(|stack| !found.contains_key(&stack.name)) {
            let upstream = stack.depends_on.iter().find(|on| !on.only_if_changed && found.contains_key(&on.stack));
            if let Some(on) = upstream {
                let at = on.at.as_ref().map(|span| format!("{}:{}", span.file, span.line));
                more.push((stack, Why { file: on.stack.to_string(), rule: "depends-on".to_owned(), at }));
            }
        }
        if more.is_empty() {
            return;
        }
        for (stack, why) in more {
            found.insert(stack.name.clone(), (stack, vec![why]));
        }
    }
}

fn looks_like_input(name: &str) -> bool {
    [".tf", ".tofu", ".tfvars"].iter().any(|part| name.contains(part))
        || name.ends_with(".tfbackend")
        || name.ends_with(".hcl")
}
