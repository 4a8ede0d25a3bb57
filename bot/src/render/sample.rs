//! Views made by hand, for tests of texts and pages.

use model::id::{CommitSha, PullNumber, RelPath, RepoName, RunNumber, StackName};
use model::plan::{Action, AttributeChange, Change, Counts, OutputChange, PlanDocument, PlanFailure, Risk, Shown};
use model::publication::{Notes, PullView, RowStatus, RunLink, SinceLast, StackRow, Standing};
use model::stack::Tool;

pub(crate) fn sha(digit: &str) -> CommitSha {
    CommitSha::parse(&digit.repeat(40)[..40]).expect("hexadecimal digits")
}

pub(crate) fn view(standing: Standing) -> PullView {
    PullView {
        repo: RepoName::parse("acme/infra").expect("valid"),
        number: PullNumber::new(142),
        head: sha("a1b2c3d4"),
        base: Some(sha("9f8e7d60")),
        base_branch: "main".to_owned(),
        url: "https://buildit.example/acme/infra/pull/142".to_owned(),
        standing,
        notes: Notes::default(),
    }
}

pub(crate) fn row(name: &str, number: i64, status: RowStatus) -> StackRow {
    let ran = !matches!(status, RowStatus::NotYet(_) | RowStatus::Queued { .. });
    StackRow {
        stack: StackName::parse(name).expect("valid"),
        path: RelPath::parse(&format!("infra/{name}")).expect("valid"),
        run: Some(RunLink { number: RunNumber::new(number), url: format!("https://buildit.example/r/{number}") }),
        apply: None,
        status,
        tool: ran.then(|| (Tool::OpenTofu, "1.10.3".to_owned())),
        millis: ran.then_some(41_000),
        since_last: None,
        undoes: None,
        state_known: Some(true),
    }
}

pub(crate) fn attribute(path: &str, before: Option<Shown>, after: Option<Shown>) -> AttributeChange {
    AttributeChange { path: path.to_owned(), before, after, forces_replacement: false }
}

pub(crate) fn value(json: &str) -> Option<Shown> {
    Some(Shown::Value(json.to_owned()))
}

pub(crate) fn change(address: &str, action: Action, attributes: Vec<AttributeChange>) -> Change {
    Change {
        address: address.to_owned(),
        previous_address: None,
        resource_type: address.split('.').next().unwrap_or_default().to_owned(),
        deposed: None,
        import_id: None,
        action,
        reason: None,
        replace_paths: Vec::new(),
        attributes,
        unchanged: 0,
        risk: if action == Action::Create { Risk::Low } else { Risk::Medium },
        data_kind: None,
        facts: Vec::new(),
    }
}

pub(crate) fn plan(changes: Vec<Change>, outputs: Vec<OutputChange>) -> PlanDocument {
    let mut counts = Counts { outputs: u32::try_from(outputs.len()).unwrap_or(0), ..Counts::default() };
    for change in &changes {
        match change.action {
            Action::Create => counts.add += 1,
            Action::Update => counts.change += 1,
            Action::Delete => counts.destroy += 1,
            Action::DeleteCreate | Action::CreateDelete => {
                counts.add += 1;
                counts.destroy += 1;
                counts.replace += 1;
            }
            Action::Forget => counts.forget += 1,
            Action::Read => counts.read += 1,
            Action::NoOp | Action::Other => {}
        }
        counts.moved += u32::from(change.previous_address.is_some());
        counts.import += u32::from(change.import_id.is_some());
    }
    PlanDocument {
        counts,
        risk: changes.iter().map(|change| change.risk).max().unwrap_or(Risk::Low),
        changes,
        outputs,
        drift: Vec::new(),
        warnings: Vec::new(),
        complete: true,
        errored: false,
        plan_timestamp: false,
        fingerprint: model::plan::Fingerprint { root: "0f".repeat(32), items: Vec::new() },
        tool_version: "1.10.3".to_owned(),
    }
}

/// The plan of surface.md's first example.
pub(crate) fn network() -> PlanDocument {
    let subnet = change(
        "aws_subnet.private[\"c\"]",
        Action::Create,
        vec![
            attribute("availability_zone", None, value("\"eu-west-1c\"")),
            attribute("cidr_block", None, value("\"10.0.3.0/24\"")),
            attribute("id", None, Some(Shown::Unknown)),
        ],
    );
    let mut table = change(
        "aws_route_table.private",
        Action::Update,
        vec![attribute("route[0].nat_gateway_id", value("\"nat-0a1f\""), Some(Shown::Unknown))],
    );
    table.unchanged = 6;
    let output = OutputChange {
        name: "private_subnet_ids".to_owned(),
        action: Action::Update,
        before: value("[\"subnet-0aaaaaaaaaaaaaaaa\",\"subnet-0bbbbbbbbbbbbbbbb\"]"),
        after: value("[\"subnet-0aaaaaaaaaaaaaaaa\",\"subnet-0bbbbbbbbbbbbbbbb\",\"subnet-0cccccccccccccccc\"]"),
    };
    plan(vec![subnet, table], vec![output])
}

/// A database that is replaced.
pub(crate) fn database() -> PlanDocument {
    let mut version = attribute("engine_version", value("\"15.4\""), value("\"16.3\""));
    version.forces_replacement = true;
    let mut main = change(
        "aws_db_instance.main",
        Action::DeleteCreate,
        vec![version, attribute("password", Some(Shown::Sensitive), Some(Shown::Sensitive))],
    );
    main.reason = Some("cannot be changed in place: engine_version".to_owned());
    main.unchanged = 31;
    main.risk = Risk::Data;
    main.data_kind = Some("database".to_owned());
    main.facts = vec![
        ("deletion_protection".to_owned(), "false".to_owned()),
        ("skip_final_snapshot".to_owned(), "true".to_owned()),
    ];
    plan(vec![main], Vec::new())
}

/// A text that changes in a few lines.
pub(crate) fn user_data() -> PlanDocument {
    let before: String = (1..=12).map(|n| format!("line {n}\n")).collect();
    let after = before.replace("line 6\n", "line six\nline 6b\n");
    let lines = attribute("user_data", Some(Shown::Lines(before)), Some(Shown::Lines(after)));
    let policy = attribute("policy", None, Some(Shown::Lines("{\n  ```\n}\n".to_owned())));
    let mut moved = change("aws_iam_role.new", Action::NoOp, Vec::new());
    moved.previous_address = Some("aws_iam_role.old".to_owned());
    let mut gone = change("aws_s3_object.x", Action::Delete, Vec::new());
    gone.reason = Some("it is no longer in the configuration".to_owned());
    gone.risk = Risk::High;
    plan(vec![gone, change("aws_instance.web", Action::Update, vec![lines, policy]), moved], Vec::new())
}

pub(crate) fn failure() -> PlanFailure {
    PlanFailure {
        phase: "init".to_owned(),
        headline: "S3 bucket \"acme-tfstate-prod\" does not exist".to_owned(),
        detail: "Error: Failed to get existing workspaces: S3 bucket \"acme-tfstate-prod\" does not exist.\n  on infra/cluster/backend.tf line 4".to_owned(),
        file: Some("infra/cluster/backend.tf".to_owned()),
        line: Some(4),
    }
}

pub(crate) fn planned(document: PlanDocument) -> RowStatus {
    RowStatus::Planned(Box::new(document))
}

/// Five stacks of every kind.
pub(crate) fn many() -> Vec<StackRow> {
    let mut dns = row("dns", 1047, planned(user_data()));
    dns.since_last = Some(SinceLast { head: sha("4f2c91e0"), changed: Vec::new() });
    vec![
        row("iam", 1048, RowStatus::NoChange),
        row("audit", 1049, RowStatus::NoChange),
        dns,
        row("network", 1046, planned(network())),
        row("database", 1045, planned(database())),
        row("cluster", 1043, RowStatus::Failed(failure())),
    ]
}
