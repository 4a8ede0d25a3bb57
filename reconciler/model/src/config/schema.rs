//! The whole language as tables: which node may stand where, with what arguments, properties and children.
//!
//! One table serves validation, nearest-match hints and the reference in docs/configuration.md.

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Bool,
    Count,
    Number,
    Duration,
    Size,
    Cron,
    Zone,
    Glob,
    Date,
    Expr,
    /// `user:`, `team:`, `role:`, `author` or `*`.
    Who,
    /// `tag:`, `path:` or `stack:`.
    Selector,
    /// A command's name.
    Verb,
    One(&'static [&'static str]),
}

/// How many arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Args {
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) kind: Kind,
}

/// What stands between the braces.
#[derive(Debug, Clone, Copy)]
pub(super) enum Children {
    None,
    /// These nodes.
    Nodes(&'static [&'static [Node]]),
    /// Any names: a map of values, as `var`, `env` and `matrix` hold.
    Map,
    /// What a fragment may hold: all that may stand somewhere.
    Fragment,
}

/// One kind of node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) args: Args,
    pub(super) props: &'static [(&'static str, Kind)],
    /// Properties with any name are legal (`use NAME key=value`, `exclude env=dev`).
    pub(super) open: bool,
    pub(super) children: Children,
}

const fn args(min: usize, max: usize, kind: Kind) -> Args {
    Args { min, max, kind }
}
const NO: Args = args(0, 0, Kind::Text);
const ONE: Args = args(1, 1, Kind::Text);
const MANY: Args = args(1, usize::MAX, Kind::Text);
const GLOBS: Args = args(1, usize::MAX, Kind::Glob);
const PEOPLE: Args = args(1, usize::MAX, Kind::Who);

const fn leaf(name: &'static str, args: Args) -> Node {
    Node { name, args, props: &[], open: false, children: Children::None }
}
const fn with(name: &'static str, args: Args, props: &'static [(&'static str, Kind)], children: Children) -> Node {
    Node { name, args, props, open: false, children }
}
const fn map(name: &'static str) -> Node {
    Node { name, args: NO, props: &[], open: false, children: Children::Map }
}

const APPROVALS: &[Node] = &[
    leaf("any-of", PEOPLE),
    leaf("all-of", PEOPLE),
    leaf("not-author", args(0, 1, Kind::Bool)),
    leaf("not-pusher", args(0, 1, Kind::Bool)),
    leaf("on-latest-push", args(0, 1, Kind::Bool)),
];
const WINDOW_PROPS: &[(&str, Kind)] = &[("cron", Kind::Cron), ("duration", Kind::Duration), ("tz", Kind::Zone)];
/// What may stand in `require`.
pub(super) const REQUIRE: &[Node] = &[
    with("approvals", args(0, 1, Kind::Count), &[], Children::Nodes(&[APPROVALS])),
    with("checks-passed", NO, &[], Children::Nodes(&[&[leaf("ignore", GLOBS)]])),
    with("undiverged", NO, &[("scope", Kind::One(&["stack", "repository"]))], Children::None),
    leaf("conversation-resolved", NO),
    leaf("signed", NO),
    leaf("codeowners", NO),
    leaf("cost-below", args(1, 1, Kind::Number)),
    with("window", NO, WINDOW_PROPS, Children::None),
];
const RUN: &[Node] = &[leaf("run", MANY)];
const HOOKS: &[Node] = &[
    leaf("before-init", MANY),
    leaf("after-init", MANY),
    leaf("before-plan", MANY),
    leaf("after-plan", MANY),
    leaf("before-apply", MANY),
    leaf("after-apply", MANY),
];
const STEPS: &[Node] = &[
    with("init", NO, &[], Children::Nodes(&[RUN])),
    with("plan", NO, &[], Children::Nodes(&[RUN])),
    with("show", NO, &[], Children::Nodes(&[RUN])),
    with("apply", NO, &[], Children::Nodes(&[RUN])),
];
const USE: &[Node] = &[Node { name: "use", args: MANY, props: &[], open: true, children: Children::None }];
const APPLY_PROPS: &[(&str, Kind)] = &[
    ("on", Kind::One(&["merge", "comment", "push", "manual", "never"])),
    ("after-upstream", Kind::One(&["ask", "apply"])),
    ("timeout", Kind::Duration),
];
const PLAN_PROPS: &[(&str, Kind)] = &[
    ("auto", Kind::Bool),
    ("drafts", Kind::Bool),
    ("restrict", Kind::Bool),
    ("ttl", Kind::Duration),
    ("timeout", Kind::Duration),
];
const DRIFT_PROPS: &[(&str, Kind)] = &[
    ("every", Kind::Duration),
    ("cron", Kind::Cron),
    ("tz", Kind::Zone),
    ("action", Kind::One(&["notify", "issue", "apply"])),
    ("kind", Kind::One(&["refresh-only", "plan"])),
    ("hits", Kind::Count),
];

/// What may stand in `stack`, `defaults` and in fragments for them.
pub(super) const STACK_BODY: &[Node] = &[
    leaf("path", ONE),
    leaf("workspace", ONE),
    with("tool", ONE, &[("version", Kind::Text), ("over", Kind::Text)], Children::None),
    with(
        "apply",
        NO,
        APPLY_PROPS,
        Children::Nodes(&[&[leaf("automerge", args(0, 1, Kind::One(&["merge", "squash", "rebase"])))]]),
    ),
    with("plan", NO, PLAN_PROPS, Children::None),
    with("require", NO, &[], Children::Nodes(&[REQUIRE, USE])),
    leaf("runner", ONE),
    leaf("image", ONE),
    with("identity", ONE, &[("plan", Kind::Text), ("apply", Kind::Text)], Children::None),
    map("var"),
    map("env"),
    leaf("var-file", MANY),
    with("watch", GLOBS, &[("only", Kind::Bool)], Children::None),
    with(
        "drift",
        NO,
        DRIFT_PROPS,
        Children::Nodes(&[&[with("window", NO, WINDOW_PROPS, Children::None), leaf("ignore", MANY)]]),
    ),
    leaf("tags", MANY),
    with("depends-on", MANY, &[("only-if-changed", Kind::Bool)], Children::None),
    with(
        "input",
        ONE,
        &[("from", Kind::Text), ("sensitive", Kind::Bool), ("only-if-changed", Kind::Bool)],
        Children::None,
    ),
    leaf("policies", MANY),
    with(
        "lock",
        args(1, 1, Kind::One(&["apply", "strict", "plan", "none"])),
        &[("per", Kind::One(&["base-branch"]))],
        Children::None,
    ),
    with("hooks", NO, &[], Children::Nodes(&[HOOKS])),
    with("steps", NO, &[], Children::Nodes(&[STEPS])),
    with("state", args(1, 1, Kind::One(&["buildit", "own"])), &[], Children::Nodes(&[&[leaf("config", MANY)]])),
];
const EXCLUDE: Args = NO;
pub(super) const STACK_ONLY: &[Node] = &[map("matrix")];
/// Nodes of a `matrix` that are not axes.
pub(super) const MATRIX: &[Node] = &[
    Node { name: "exclude", args: EXCLUDE, props: &[], open: true, children: Children::None },
    Node { name: "include", args: EXCLUDE, props: &[], open: true, children: Children::None },
];
const WHEN: &[Node] = &[
    leaf("event", args(1, usize::MAX, Kind::One(&EVENTS))),
    leaf("branch", GLOBS),
    leaf("tag", GLOBS),
    leaf("paths", GLOBS),
    leaf("label", MANY),
    leaf("expr", args(1, 1, Kind::Expr)),
];
const EVENTS: [&str; 7] = ["pull-request", "push", "tag", "merge-group", "schedule", "command", "api"];
const DEPLOY_PROPS: &[(&str, Kind)] =
    &[("environment", Kind::Text), ("image", Kind::Text), ("namespace", Kind::Text), ("target", Kind::Text)];
const STAGE: &[Node] = &[
    leaf("image", ONE),
    leaf("run", MANY),
    leaf("shell", ONE),
    with(
        "needs",
        MANY,
        &[("only-if-changed", Kind::Bool)],
        Children::Nodes(&[&[leaf("optional", args(0, 1, Kind::Bool))]]),
    ),
    map("matrix"),
    with("when", NO, &[], Children::Nodes(&[WHEN])),
    leaf("failure", args(1, 1, Kind::One(&["ignore", "fail", "cancel"]))),
    leaf("always", args(0, 1, Kind::Bool)),
    with("service", ONE, &[("image", Kind::Text)], Children::Nodes(&[&[map("env")]])),
    map("env"),
    with(
        "secret",
        ONE,
        &[],
        Children::Nodes(&[&[leaf("events", args(1, usize::MAX, Kind::One(&EVENTS))), leaf("images", GLOBS)]]),
    ),
    with("retry", args(1, 1, Kind::Count), &[("on", Kind::One(&["infrastructure", "any"]))], Children::None),
    with("resources", NO, &[("cpu", Kind::Number), ("memory", Kind::Size)], Children::None),
    with("cache", MANY, &[("key", Kind::Text), ("restore", Kind::Text)], Children::None),
    leaf("artifact", GLOBS),
    leaf("timeout", args(1, 1, Kind::Duration)),
    with(
        "build",
        ONE,
        &[("push", Kind::Text), ("file", Kind::Text)],
        Children::Nodes(&[&[leaf("tag", MANY), leaf("platform", MANY)]]),
    ),
    with("deploy", ONE, DEPLOY_PROPS, Children::None),
    with("approval", NO, &[], Children::Nodes(&[APPROVALS])),
    leaf("runner", ONE),
];
const ON: &[Node] = &[leaf("paths", GLOBS), leaf("branches", GLOBS), leaf("tags", GLOBS), leaf("labels", MANY)];
const PIPELINE: &[Node] = &[
    with("on", args(1, 1, Kind::One(&EVENTS)), &[("cron", Kind::Cron), ("tz", Kind::Zone)], Children::Nodes(&[ON])),
    with(
        "concurrency",
        args(1, 1, Kind::Text),
        &[("cancel-previous", Kind::Bool), ("limit", Kind::Count)],
        Children::None,
    ),
    with("clone", NO, &[("depth", Kind::Count), ("submodules", Kind::Bool), ("lfs", Kind::Bool)], Children::None),
    map("env"),
    with("stage", ONE, &[], Children::Nodes(&[STAGE, USE])),
];
const DISCOVER: &[Node] = &[
    leaf("root", GLOBS),
    leaf("ignore", GLOBS),
    leaf("name", ONE),
    leaf("kind", args(1, 1, Kind::One(&["terraform", "terragrunt"]))),
];
const DEPLOY_KINDS: Kind = Kind::One(&["kubernetes", "fly", "cloud-run", "lambda", "command"]);
const DEPLOYER: &[Node] = &[leaf("manifests", MANY), leaf("kustomize", MANY), leaf("helm", MANY), leaf("run", MANY)];
const SERVICE: &[Node] = &[
    with("deploy", args(1, 1, DEPLOY_KINDS), DEPLOY_PROPS, Children::Nodes(&[DEPLOYER])),
    leaf("preview", args(1, 1, Kind::One(&["diff"]))),
    with("rollback", NO, &[("on", Kind::One(&["failed-rollout", "never"]))], Children::None),
];
const ENVIRONMENT: &[Node] = &[
    leaf("from-stack", ONE),
    leaf("target", ONE),
    leaf("url", ONE),
    with("require", NO, &[], Children::Nodes(&[REQUIRE, USE])),
];
const VERBS: Args = args(1, usize::MAX, Kind::Verb);
const ACCESS_RULE: &[Node] = &[leaf("who", PEOPLE), leaf("on", args(1, usize::MAX, Kind::Selector))];
/// Commands that are off until `commands { allow … }`.
const OFF: Args = args(1, usize::MAX, Kind::One(&["import", "state rm", "state mv", "force-unlock"]));
const ACCESS: &[Node] = &[
    with("allow", VERBS, &[], Children::Nodes(&[ACCESS_RULE])),
    with("deny", VERBS, &[], Children::Nodes(&[ACCESS_RULE])),
];
const SELECT: &[(&str, Kind)] = &[("path", Kind::Glob), ("tag", Kind::Text), ("stack", Kind::Glob)];
const POLICY_PROPS: &[(&str, Kind)] = &[("path", Kind::Text), ("level", Kind::One(&["warn", "deny", "hard"]))];
const WAIVER_PROPS: &[(&str, Kind)] =
    &[("address", Kind::Text), ("until", Kind::Date), ("owner", Kind::Text), ("reason", Kind::Text)];
const NOTIFY_EVENTS: Kind =
    Kind::One(&["apply-failed", "drift", "approval-needed", "plan-failed", "applied", "stage-failed", "deployed"]);

/// What may stand at the top of a repository's file.
pub(super) const TOP: &[Node] = &[
    with("buildit", NO, &[("version", Kind::Text)], Children::None),
    with("branches", GLOBS, &[], Children::Nodes(&[&[leaf("preview", GLOBS)]])),
    with("defaults", NO, SELECT, Children::Nodes(&[STACK_BODY, USE])),
    with("fragment", ONE, &[], Children::Fragment),
    with("discover", NO, &[], Children::Nodes(&[DISCOVER])),
    with("stack", ONE, &[("was", Kind::Text)], Children::Nodes(&[STACK_BODY, STACK_ONLY, USE])),
    with("generate", NO, &[], Children::Nodes(&[&[leaf("image", ONE), leaf("run", MANY)]])),
    with("pipeline", ONE, &[], Children::Nodes(&[PIPELINE, USE])),
    with("registry", ONE, &[("username", Kind::Text), ("secret", Kind::Text)], Children::None),
    with(
        "target",
        ONE,
        &[("kind", DEPLOY_KINDS)],
        Children::Nodes(&[&[with("kubeconfig", NO, &[("from", Kind::Text)], Children::None)]]),
    ),
    with("environment", ONE, &[], Children::Nodes(&[ENVIRONMENT])),
    with("service", ONE, &[], Children::Nodes(&[SERVICE])),
    with(
        "policy",
        ONE,
        POLICY_PROPS,
        Children::Nodes(&[&[
            leaf("owners", MANY),
            leaf("approve-count", args(1, 1, Kind::Count)),
            leaf("no-self", args(0, 1, Kind::Bool)),
        ]]),
    ),
    with("waiver", ONE, WAIVER_PROPS, Children::None),
    with("access", NO, &[], Children::Nodes(&[ACCESS])),
    with("commands", NO, &[], Children::Nodes(&[&[leaf("prefix", MANY), leaf("allow", OFF), leaf("bots", MANY)]])),
    with(
        "notify",
        ONE,
        &[("secret", Kind::Text), ("channel", Kind::Text), ("url", Kind::Text)],
        Children::Nodes(&[&[leaf("on", args(1, usize::MAX, NOTIFY_EVENTS))]]),
    ),
    with("comment", NO, &[("on", Kind::One(&["changes", "always", "never"]))], Children::None),
    Node { name: "use", args: MANY, props: &[], open: true, children: Children::None },
];

/// What only the organisation's layer may hold.
pub(super) const ORGANISATION: &[Node] = &[
    with("repository", ONE, &[], Children::Nodes(&[TOP])),
    with(
        "enforce",
        NO,
        SELECT,
        Children::Nodes(&[&[
            leaf("policies", MANY),
            with("require", NO, &[], Children::Nodes(&[REQUIRE, USE])),
            leaf("runner", ONE),
        ]]),
    ),
];

/// All tables in which a fragment's node may be found.
pub(super) const FRAGMENT: &[&[Node]] = &[STACK_BODY, TOP, PIPELINE, STAGE, REQUIRE];
