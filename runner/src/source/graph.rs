//! The module graph of one tree: which directories hold configuration, and where they lead.

use std::collections::{BTreeMap, BTreeSet};

use git2::{ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};
use globset::{GlobBuilder, GlobMatcher};
use model::config::{Directory, Layout};
use model::id::RelPath;
use model::ports::SourceError;
use model::stack::Stack;

use super::facts::{self, FileFacts, From};
use super::tar::LINK;
use super::{Cache, git};

/// A file of the tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) mode: i32,
    pub(super) id: Oid,
}

/// One edge.
#[derive(Debug, Clone)]
struct Edge {
    from: From,
    path: String,
    module: bool,
    /// The path is a whole one, from the repository's root: a symbolic link's target.
    link: bool,
    at: String,
}

/// A file that does not parse.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    pub(super) file: RelPath,
    pub(super) line: usize,
    pub(super) message: String,
}

/// Everything that is known of a tree.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) files: BTreeMap<RelPath, Entry>,
    pub(super) layout: Layout,
    pub(super) broken: Vec<Broken>,
    edges: BTreeMap<RelPath, Vec<Edge>>,
    links: BTreeMap<RelPath, RelPath>,
}

/// Why a stack sees something.
#[derive(Debug, Clone)]
pub(super) struct Reason {
    pub(super) rule: String,
    pub(super) at: Option<String>,
}

/// Everything that one stack sees.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Directories of modules, and targets of links: whatever belongs to them.
    pub(super) directories: BTreeMap<RelPath, Reason>,
    pub(super) files: BTreeMap<RelPath, Reason>,
    pub(super) globs: Vec<(GlobMatcher, Reason)>,
}

fn is_config(name: &str) -> bool {
    [".tf", ".tf.json", ".tofu", ".tofu.json"].iter().any(|end| name.ends_with(end)) || name == "terragrunt.hcl"
}

impl Graph {
    /// Reads a tree.
    pub(super) fn of(repo: &Repository, cache: &Cache, tree: Oid) -> Result<Self, SourceError> {
        let mut graph = Self { files: list(repo, tree)?, ..Self::default() };
        graph.read_links(repo);
        let configs: Vec<(RelPath, Entry)> = graph
            .files
            .iter()
            .filter(|(path, entry)| is_config(path.file_name()) && entry.mode != super::tar::SUBMODULE)
            .map(|(path, entry)| (path.clone(), *entry))
            .collect();
        for (path, entry) in &configs {
            graph.add_config(repo, cache, path, *entry)?;
        }
        graph.mark_used();
        graph.mark_linked(&configs);
        graph.add_versions(repo)?;
        Ok(graph)
    }

    fn read_links(&mut self, repo: &Repository) {
        for (path, entry) in self.files.iter().filter(|(_, entry)| entry.mode == LINK) {
            let target = repo.find_blob(entry.id).ok().and_then(|blob| String::from_utf8(blob.content().to_vec()).ok());
            if let Some(target) = target.and_then(|text| path.parent()?.join(&text)) {
                self.links.insert(path.clone(), target);
            }
        }
        let links: Vec<_> = self.links.clone().into_iter().collect();
        for (path, target) in links {
            let dir = self.owner(&path).or_else(|| path.parent()).unwrap_or_else(RelPath::root);
            let (at, path) = (path.to_string(), target.to_string());
            self.edges.entry(dir).or_default().push(Edge { from: From::Module, path, module: false, link: true, at });
        }
    }

    /// Follows symbolic links in every component. `None` for a circle.
    fn real(&self, path: &RelPath) -> Option<RelPath> {
        let mut path = path.clone();
        'again: for _ in 0..32 {
            let mut above = Some(path.clone());
            while let Some(part) = above {
                if let Some(target) = self.links.get(&part) {
                    let rest = path.as_str().strip_prefix(part.as_str()).unwrap_or_default();
                    path = target.join(rest.trim_start_matches('/'))?;
                    continue 'again;
                }
                above = part.parent();
            }
            return Some(path);
        }
        None
    }

    fn add_config(
        &mut self,
        repo: &Repository,
        cache: &Cache,
        path: &RelPath,
        entry: Entry,
    ) -> Result<(), SourceError> {
        let dir = path.parent().unwrap_or_else(RelPath::root);
        let name = path.file_name();
        let id = if entry.mode == LINK {
            match self.real(path).and_then(|target| self.files.get(&target)) {
                Some(target) => target.id,
                None => return Ok(()),
            }
        } else {
            entry.id
        };
        let directory = self.layout.directories.entry(dir.clone()).or_default();
        directory.terragrunt |= name == "terragrunt.hcl";
        // The OpenTofu file takes the place of the terraform file of the same name.
        let replaced = name.strip_suffix(".tf").map(|stem| format!("{stem}.tofu"));
        let replaced = replaced.or_else(|| name.strip_suffix(".tf.json").map(|stem| format!("{stem}.tofu.json")));
        let shadowed = replaced.and_then(|other| dir.join(&other)).is_some_and(|other| self.files.contains_key(&other));
        let json = name.ends_with(".json");
        let blob = repo.find_blob(id).map_err(|_| SourceError::Missing { id: id.to_string() })?;
        let facts = cache.facts(id, json, || facts::read(&String::from_utf8_lossy(blob.content()), json));
        if !shadowed {
            mark(directory, &facts);
        }
        if let Some((line, message)) = &facts.broken {
            self.broken.push(Broken { file: path.clone(), line: *line, message: message.clone() });
        }
        let edges = self.edges.entry(dir).or_default();
        edges.extend(facts.references.iter().map(|reference| Edge {
            from: reference.from,
            path: reference.path.clone(),
            module: reference.module,
            link: false,
            at: format!("{path}:{}", reference.line),
        }));
        Ok(())
    }

    fn module_target(&self, dir: &RelPath, source: &str) -> Option<RelPath> {
        if !(source.starts_with("./") || source.starts_with("../") || source == "." || source == "..") {
            return None;
        }
        let target = self.real(&dir.join(source)?)?;
        self.layout.directories.contains_key(&target).then_some(target)
    }

    fn mark_used(&mut self) {
        let mut used = BTreeSet::new();
        for (dir, edges) in &self.edges {
            let targets = edges.iter().filter(|edge| edge.module).filter_map(|e| self.module_target(dir, &e.path));
            used.extend(targets.filter(|target| target != dir));
        }
        for dir in used {
            if let Some(directory) = self.layout.directories.get_mut(&dir) {
                directory.used_as_module = true;
            }
        }
    }

    fn mark_linked(&mut self, configs: &[(RelPath, Entry)]) {
        let mut targets = BTreeSet::new();
        for link in self.links.keys() {
            targets.extend(self.real(link).filter(|target| target.parent() != link.parent()));
        }
        let mut all: BTreeMap<RelPath, bool> = BTreeMap::new();
        for (path, _) in configs {
            let linked = targets.contains(path);
            *all.entry(path.parent().unwrap_or_else(RelPath::root)).or_insert(true) &= linked;
        }
        for (dir, directory) in &mut self.layout.directories {
            directory.only_linked = all.get(dir).copied().unwrap_or(false);
        }
    }

    fn add_versions(&mut self, repo: &Repository) -> Result<(), SourceError> {
        let text = |id: Oid| repo.find_blob(id).map(|blob| String::from_utf8_lossy(blob.content()).into_owned());
        let nearest = |dir: &RelPath, name: &str| -> Result<Option<(RelPath, String)>, SourceError> {
            let mut above = Some(dir.clone());
            while let Some(here) = above {
                if let Some((path, entry)) = here.join(name).and_then(|path| self.files.get_key_value(&path)) {
                    let first = text(entry.id).map_err(git)?.lines().next().unwrap_or_default().trim().to_owned();
                    return Ok(Some((path.clone(), first)));
                }
                above = here.parent();
            }
            Ok(None)
        };
        let mut found = Vec::new();
        for dir in self.layout.directories.keys() {
            let lock = dir.join(".terraform.lock.hcl").and_then(|path| self.files.get(&path));
            let lock = lock.map(|entry| text(entry.id)).transpose().map_err(git)?.unwrap_or_default();
            let hosts = lock.lines().filter_map(|line| line.strip_prefix("provider \"")?.split('/').next());
            let hosts: BTreeSet<String> = hosts.map(str::to_owned).collect();
            let versions = (nearest(dir, ".opentofu-version")?, nearest(dir, ".terraform-version")?);
            found.push((dir.clone(), hosts, versions));
        }
        for (dir, hosts, (opentofu, terraform)) in found {
            let directory = self.layout.directories.entry(dir).or_default();
            directory.lock_hosts = hosts.into_iter().collect();
            directory.opentofu_version = opentofu;
            directory.terraform_version = terraform;
        }
        Ok(())
    }

    /// The nearest directory above a file that holds configuration files.
    pub(super) fn owner(&self, file: &RelPath) -> Option<RelPath> {
        let mut above = file.parent();
        while let Some(dir) = above {
            if self.layout.directories.contains_key(&dir) {
                return Some(dir);
            }
            above = dir.parent();
        }
        None
    }

    /// What a stack sees, its own directory included.
    pub(super) fn reach(&self, stack: &Stack) -> Reach {
        let mut reach = Reach::default();
        let own = Reason { rule: "in the stack's directory".to_owned(), at: None };
        let root = self.real(&stack.path).unwrap_or_else(|| stack.path.clone());
        let mut open = vec![(root.clone(), own.clone())];
        reach.directories.insert(stack.path.clone(), own);
        let mut seen = BTreeSet::new();
        while let Some((dir, reason)) = open.pop() {
            if !seen.insert(dir.clone()) {
                continue;
            }
            reach.directories.entry(dir.clone()).or_insert(reason);
            for edge in self.edges.get(&dir).into_iter().flatten() {
                self.follow(&root, &dir, edge, &mut reach, &mut open);
            }
        }
        self.add_settings(stack, &mut reach);
        reach
    }

    fn follow(&self, root: &RelPath, dir: &RelPath, edge: &Edge, reach: &mut Reach, open: &mut Vec<(RelPath, Reason)>) {
        let at = Some(edge.at.clone());
        if edge.module {
            if let Some(target) = self.module_target(dir, &edge.path) {
                open.push((target, Reason { rule: format!("module {}", edge.path), at }));
            }
            return;
        }
        let start = match (edge.link, edge.from) {
            (true, _) => RelPath::root(),
            (false, From::Module) => dir.clone(),
            (false, From::Root) => root.clone(),
        };
        let rule = if edge.link { format!("symbolic link to {}", edge.path) } else { format!("reads {}", edge.path) };
        let reason = Reason { rule, at };
        if !edge.link && edge.path.contains(['*', '?', '[', '{']) {
            // `..` before the first star is resolved; the star matches one component.
            let (fixed, wild) = edge.path.split_at(edge.path.find(['*', '?', '[', '{']).unwrap_or_default());
            let (folder, tail) = fixed.rsplit_once('/').unwrap_or(("", fixed));
            let Some(base) = start.join(folder) else { return };
            if folder.is_empty() && wild.starts_with('*') && !edge.path.contains('.') {
                return;
            }
            let prefix = if base.is_root() { String::new() } else { format!("{}/", globset::escape(base.as_str())) };
            let glob = GlobBuilder::new(&format!("{prefix}{tail}{wild}")).literal_separator(true).build();
            reach.globs.extend(glob.ok().map(|glob| (glob.compile_matcher(), reason)));
            return;
        }
        let Some(target) = start.join(&edge.path).and_then(|path| self.real(&path)) else { return };
        if self.files.contains_key(&target) {
            reach.files.entry(target).or_insert(reason);
        } else if target != *root && !root.is_within(&target) {
            reach.directories.entry(target).or_insert(reason);
        }
    }

    fn add_settings(&self, stack: &Stack, reach: &mut Reach) {
        for file in &stack.var_files {
            let reason = Reason { rule: "variable file".to_owned(), at: place(stack) };
            reach.files.entry(file.clone()).or_insert(reason);
        }
        if let Some(model::stack::StateChoice::Own { config }) = &stack.state {
            for file in config {
                let reason = Reason { rule: "backend file".to_owned(), at: place(stack) };
                reach.files.entry(file.clone()).or_insert(reason);
            }
        }
        let pinned = stack.tool.as_ref().is_some_and(|tool| tool.version.is_some());
        if let (false, Some(directory)) = (pinned, self.layout.directories.get(&stack.path)) {
            for (file, _) in [&directory.opentofu_version, &directory.terraform_version].into_iter().flatten() {
                let reason = Reason { rule: "version file".to_owned(), at: None };
                reach.files.entry(file.clone()).or_insert(reason);
            }
        }
    }
}

pub(super) fn place(stack: &Stack) -> Option<String> {
    stack.declared_at.as_ref().map(|span| format!("{}:{}", span.file, span.line))
}

fn mark(directory: &mut Directory, facts: &FileFacts) {
    directory.cloud |= facts.cloud;
    directory.provider |= facts.provider;
    // Of several blocks (an override file has one of its own) the one counts that says where the state is.
    let open = directory.backend.is_none() || directory.backend.as_deref() == Some("http") && directory.backend_empty;
    if facts.backend.is_some() && open {
        directory.backend.clone_from(&facts.backend);
        directory.backend_empty = facts.backend_empty;
    }
    directory.required_version = directory.required_version.take().or_else(|| facts.required_version.clone());
}

fn list(repo: &Repository, tree: Oid) -> Result<BTreeMap<RelPath, Entry>, SourceError> {
    let tree = repo.find_tree(tree).map_err(|_| SourceError::Missing { id: tree.to_string() })?;
    let mut files = BTreeMap::new();
    tree.walk(TreeWalkMode::PreOrder, |dir, entry| {
        if entry.kind() == Some(ObjectType::Tree) {
            let hidden = matches!(entry.name(), Ok(".terraform" | ".git"));
            return if hidden { TreeWalkResult::Skip } else { TreeWalkResult::Ok };
        }
        let path = entry.name().ok().and_then(|name| RelPath::parse(&format!("{dir}{name}")).ok());
        if let Some(path) = path {
            files.insert(path, Entry { mode: entry.filemode(), id: entry.id() });
        }
        TreeWalkResult::Ok
    })
    .map_err(git)?;
    Ok(files)
}
