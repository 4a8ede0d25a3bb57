//! Everything that git and the configuration say of a pull request at one (base, head).

use std::collections::BTreeMap;

use git2::{Oid, Repository};
use model::affected::Affected;
use model::config::{self, Parsed, ResolveInput, Resolved, SourceFile, TrustInput, Weakened};
use model::diagnostic::Diagnostics;
use model::id::{RelPath, StackName, TreeId};
use model::ports::{SourceError, SurveyRequest};
use model::stack::{SecretBinding, Stack};
use model::survey::{BaseTrust, Survey, SurveyedStack};
use ring::digest;

use super::affected::{Side, affected, claims};
use super::graph::Graph;
use super::{Cache, merge, tree_of, walk};

/// Computes the survey. All commits are in the mirror.
pub(super) fn survey(repo: &Repository, cache: &Cache, request: &SurveyRequest) -> Result<Survey, SourceError> {
    let base_tree = tree_of(repo, &request.base)?.id();
    let head_tree = tree_of(repo, &request.head)?.id();
    let merged = merge::plan_tree(repo, &request.base, &request.head, request.test_merge.as_ref())?;
    // With conflicts nothing is planned; the head still shows what was meant.
    let plan_tree = merged.tree.unwrap_or(head_tree);
    let base_config = parsed(repo, base_tree)?;
    let plan_config = parsed(repo, plan_tree)?;
    let default_config = parsed(repo, tree_of(repo, &request.default_tip)?.id())?;
    let configured = has_content(repo, base_tree)? || has_content(repo, plan_tree)?;
    let graph = |tree: Oid| cache.graph(tree, || Graph::of(repo, cache, tree));
    let (base_graph, plan_graph) = (graph(base_tree)?, graph(plan_tree)?);
    let base = resolved(request, &base_config, &base_graph);
    let plan = resolved(request, &plan_config, &plan_graph);
    let base_trust = default_config.config.branch_rules(&request.default_branch).trust(&request.base_branch);
    let mut trusted = config::trusted(&TrustInput {
        base: input(request, &base_config, &base_graph),
        on_base: &base,
        on_head: &plan,
        head_layout: &plan_graph.layout,
    });
    if base_trust != BaseTrust::Trusted {
        trusted.distrust();
    }
    let stacks = std::mem::take(&mut trusted.stacks);
    let mut weakened = config::opened(&base_config.config, &plan_config.config);
    weakened.extend(config::weakened(&base, &plan, &stacks));
    let on_base = |name: &StackName| base.stacks.iter().any(|stack| &stack.name == name);
    let added = stacks.iter().map(|stack| stack.name.clone()).filter(|name| !on_base(name)).collect();
    let changed = walk::changed(repo, base_tree, plan_tree)?;
    let mut diagnostics = plan_config.diagnostics.clone();
    diagnostics.extend(plan.diagnostics);
    diagnostics.extend(trusted.diagnostics);
    let mut trusted_errors: Diagnostics = base_config.diagnostics.errors().cloned().collect();
    trusted_errors.extend(trusted.errors);
    let answer = if configured {
        let sides = (Side { graph: &base_graph, stacks: &base.stacks }, Side { graph: &plan_graph, stacks: &stacks });
        affected(&sides.0, &sides.1, &changed, !diagnostics.has_errors())
    } else {
        Affected::default()
    };
    let config_changed: Vec<RelPath> =
        changed.iter().map(|file| &file.path).filter(|path| is_config_file(path)).cloned().collect();
    if let Some(error) = trusted_errors.errors().next().filter(|_| !config_changed.is_empty()) {
        // Nobody knows what it asks for, so nobody knows that this asks for as much.
        let from = format!("not known: {}", error.summary);
        let what = "configuration".to_owned();
        weakened.insert(0, Weakened { stack: None, what, from, to: "as this change says".to_owned(), at: None });
    }
    Ok(Survey {
        base: request.base.clone(),
        head: request.head.clone(),
        plan_tree: merged.tree.and_then(|id| TreeId::parse(&id.to_string()).ok()),
        ours: merged.ours,
        conflicts: merged.conflicts,
        configured,
        base_trust,
        diagnostics,
        config_changed,
        trusted_errors,
        added,
        weakened,
        access: trusted.access,
        not_yet: plan_config.config.not_yet().to_vec(),
        prefixes: base_config.config.prefixes().to_vec(),
        comment_on: base_config.config.comment_on().to_owned(),
        changed,
        affected: answer,
        stacks: stacks.into_iter().map(|stack| surveyed(&plan_graph, stack, &trusted.new_secrets)).collect(),
    })
}

fn is_config_file(path: &RelPath) -> bool {
    path.as_str().starts_with(".buildit/") && path.file_name().ends_with(".kdl")
}

fn config_files(repo: &Repository, tree: Oid) -> Result<Vec<SourceFile>, SourceError> {
    let root = repo.find_tree(tree).map_err(|_| SourceError::Missing { id: tree.to_string() })?;
    let folder = root.get_name(".buildit").and_then(|entry| repo.find_tree(entry.id()).ok());
    let mut files = Vec::new();
    for entry in folder.iter().flat_map(|folder| folder.iter()) {
        if let Ok(name) = entry.name()
            && name.ends_with(".kdl")
            && entry.filemode() != super::tar::LINK
            && let Ok(blob) = repo.find_blob(entry.id())
        {
            let text = String::from_utf8_lossy(blob.content()).into_owned();
            files.push(SourceFile { path: format!(".buildit/{name}"), text });
        }
    }
    Ok(files)
}

fn has_content(repo: &Repository, tree: Oid) -> Result<bool, SourceError> {
    let files = config_files(repo, tree)?;
    Ok(files.iter().any(|file| {
        let mut lines = file.text.lines().map(str::trim);
        lines.any(|line| !line.is_empty() && !line.starts_with("//"))
    }))
}

fn parsed(repo: &Repository, tree: Oid) -> Result<Parsed, SourceError> {
    Ok(config::parse(&config_files(repo, tree)?))
}

fn resolved(request: &SurveyRequest, parsed: &Parsed, graph: &Graph) -> Resolved {
    config::resolve(input(request, parsed, graph))
}

fn input<'a>(request: &'a SurveyRequest, parsed: &'a Parsed, graph: &'a Graph) -> ResolveInput<'a> {
    ResolveInput { repo: &request.name, config: &parsed.config, organisation: None, layout: &graph.layout }
}

/// What a job of the stack must see, and its digest.
fn surveyed(graph: &Graph, mut stack: Stack, secrets: &BTreeMap<StackName, Vec<SecretBinding>>) -> SurveyedStack {
    let new_secrets = secrets.get(&stack.name).cloned().unwrap_or_default();
    stack.not_yet.extend(new_secrets.iter().map(SecretBinding::waits));
    let reach = graph.reach(&stack);
    let mut paths: Vec<RelPath> = reach.directories.keys().chain(reach.files.keys()).cloned().collect();
    let plain = reach.globs.is_empty() && stack.watch.patterns.is_empty();
    if !plain {
        let seen = graph.files.keys().filter(|path| {
            reach.globs.iter().any(|(glob, _)| glob.is_match(path.as_str()))
                || (!stack.watch.patterns.is_empty()
                    && claims(&stack, &reach, path, graph.owner(path).as_ref()).is_some())
        });
        paths.extend(seen.cloned());
    }
    paths.sort();
    let mut kept: Vec<RelPath> = Vec::new();
    for path in paths {
        if !kept.iter().any(|above| path.is_within(above)) {
            kept.push(path);
        }
    }
    let mut hash = digest::Context::new(&digest::SHA256);
    for path in &kept {
        let below = graph.files.range(path.clone()..).take_while(|(file, _)| file.as_str().starts_with(path.as_str()));
        for (file, entry) in below.filter(|(file, _)| file.is_within(path)) {
            hash.update(format!("{file}\0{:o}\0{}\n", entry.mode, entry.id).as_bytes());
        }
    }
    let directory = graph.layout.directories.get(&stack.path).cloned().unwrap_or_default();
    let inputs_digest = hex::encode(hash.finish());
    SurveyedStack { stack, directory, paths: kept, new_secrets, secret_versions: Vec::new(), inputs_digest }
}
