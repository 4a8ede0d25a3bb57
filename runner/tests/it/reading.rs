//! Reading plan documents: recorded ones of real terraform, and changed copies of them.

use std::fmt::Write as _;

use model::plan::{Action, AttributeChange, PlanDocument, Risk, Shown};
use model::ports::{IacEngine, IacError};
use runner::iac::{Iac, IacSettings, masked_json};
use serde_json::{Value, json};

use crate::engine::key;

/// Everything that a plan can do with terraform_data and hashicorp/local 1.4.0; made by terraform 1.11.4.
const MIXED: &str = include_str!("plans/terraform-1.11.4-mixed.json");

fn read(document: &Value) -> PlanDocument {
    try_read(document.to_string().as_bytes()).expect("a readable plan")
}

fn try_read(bytes: &[u8]) -> Result<PlanDocument, IacError> {
    Iac::new(IacSettings::default()).read_plan(bytes, &key(), &[])
}

fn mixed() -> Value {
    serde_json::from_str(MIXED).expect("json")
}

fn shown(value: &Option<Shown>) -> String {
    match value {
        None => "-".to_owned(),
        Some(Shown::Value(text)) => text.clone(),
        Some(Shown::Lines(text)) => format!("lines {text:?}"),
        Some(Shown::Unknown) => "(unknown)".to_owned(),
        Some(Shown::Sensitive) => "(sensitive)".to_owned(),
    }
}

fn attribute(attribute: &AttributeChange) -> String {
    let force = if attribute.forces_replacement { "  # forces" } else { "" };
    format!("    {}: {} => {}{force}", attribute.path, shown(&attribute.before), shown(&attribute.after))
}

fn brief(document: &PlanDocument) -> String {
    let mut text = String::new();
    for change in &document.changes {
        let _ = write!(text, "{:?} {:?} {}", change.risk, change.action, change.address);
        for note in [&change.previous_address, &change.import_id, &change.reason].into_iter().flatten() {
            let _ = write!(text, " ({note})");
        }
        let _ = writeln!(text, " unchanged {}", change.unchanged);
        for found in &change.attributes {
            let _ = writeln!(text, "{}", attribute(found));
        }
    }
    for output in &document.outputs {
        let _ = writeln!(
            text,
            "{:?} output.{}: {} => {}",
            output.action,
            output.name,
            shown(&output.before),
            shown(&output.after)
        );
    }
    text
}

#[test]
fn a_recorded_plan_reads_as_a_person_would_tell_it() {
    let document = read(&mixed());
    insta::assert_snapshot!(brief(&document), @r##"
    High Delete terraform_data.gone (it is no longer in the configuration) unchanged 0
        id: "e0153c71-1268-d781-b3c7-0b425a95bb89" => -
        input: "bye" => -
        output: "bye" => -
    High DeleteCreate local_file.conf (an attribute changes that cannot be changed in place) unchanged 3
        content: "hello" => "goodbye"  # forces
        id: "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d" => (unknown)
    High DeleteCreate terraform_data.app (an attribute changes that cannot be changed in place) unchanged 0
        id: "f6073b83-0f3d-1c95-3545-74afda04d43b" => (unknown)
        input.policy.Statement[0].Action: "s3:Get*" => "s3:*"
        input.size: 1 => 2
        input.tags[1]: "a" => "c"
        output: {"name":"app","policy":"{\"Statement\":[{\"Action\":\"s3:Get*\",\"Effect\":\"Allow\"}]}","size":1,"tags":["a","b"]} => (unknown)
        triggers_replace: "v1" => "v2"  # forces
    Medium Update terraform_data.adopted (1234-adopted) unchanged 1
        input: - => "adopted"
        output: - => (unknown)
    Medium Update terraform_data.script unchanged 1
        input: lines "line one\nline two\n" => lines "line one\nline 2\n"
        output: lines "line one\nline two\n" => (unknown)
    Medium Update terraform_data.secret unchanged 1
        input: (sensitive) => (sensitive)
        output: "***" => (unknown)
    Low Create terraform_data.leak unchanged 0
        id: - => (unknown)
        input: - => "user:***@host"
        output: - => (unknown)
    Low Create terraform_data.when unchanged 0
        id: - => (unknown)
        input: - => "2026-11-24T10:18:03Z"
        output: - => (unknown)
    Low NoOp terraform_data.renamed (terraform_data.old) unchanged 3
    Delete output.gone: "x" => -
    Create output.later: - => (unknown)
    Update output.names: 2 items => 3 items
    Update output.pass: (sensitive) => (sensitive)
    "##);
    insta::assert_snapshot!(
        format!("{:?}", document.counts),
        @"Counts { add: 4, change: 3, destroy: 3, replace: 2, import: 1, moved: 1, forget: 0, outputs: 4, read: 0 }"
    );
    insta::assert_snapshot!(document.warnings.join("\n"), @"check.size failed: the size is 2");
    assert_eq!(
        (document.complete, document.errored, document.plan_timestamp, document.risk),
        (true, false, true, Risk::High)
    );
    assert_eq!(document.tool_version, "1.11.4");
    let keys: Vec<&str> = document.fingerprint.items.iter().map(|(key, _)| key.as_str()).collect();
    insta::assert_snapshot!(keys.join("\n"), @r"
    local_file.conf
    output.gone
    output.later
    output.names
    output.pass
    provider.local
    provider.terraform
    provisioner.terraform_data.script
    terraform_data.adopted
    terraform_data.app
    terraform_data.gone
    terraform_data.leak
    terraform_data.renamed
    terraform_data.script
    terraform_data.secret
    terraform_data.when
    tool
    variables
    ");
}

#[test]
fn nothing_sensitive_leaves() {
    let text = serde_json::to_string(&read(&mixed())).expect("json");
    let masked = String::from_utf8(masked_json(MIXED.as_bytes(), &[]).expect("masked")).expect("text");
    for secret in ["correct-horse-9", "hunter2-hunter2"] {
        assert!(MIXED.contains(secret));
        assert!(!text.contains(secret), "{secret} is in the document");
        assert!(!masked.contains(secret), "{secret} is in the masked JSON");
    }
    // What is not sensitive stays, in the same shape.
    let masked: Value = serde_json::from_str(&masked).expect("json");
    let plain = mixed();
    assert_eq!(masked["variables"], json!({"password": {"value": "***"}, "size": {"value": 2}}));
    assert_eq!(masked["configuration"]["root_module"]["variables"]["password"]["default"], "***");
    assert_eq!(masked["resource_changes"][0], plain["resource_changes"][0]);
    assert_eq!(masked.as_object().map(serde_json::Map::len), plain.as_object().map(serde_json::Map::len));
}

fn change<'a>(document: &'a mut Value, address: &str) -> &'a mut Value {
    let all = document["resource_changes"].as_array_mut().expect("changes");
    all.iter_mut().find(|change| change["address"] == address).expect("the change")
}

#[test]
fn the_fingerprint_sees_what_would_be_done_and_nothing_else() {
    let first = read(&mixed()).fingerprint;
    let mut same = mixed();
    same["timestamp"] = json!("2030-01-01T00:00:00Z");
    let noop = json!({"address": "x.y", "mode": "managed", "type": "x", "change": {"actions": ["no-op"], "before": {}, "after": {}}});
    same["resource_changes"].as_array_mut().expect("changes").insert(0, noop);
    assert_eq!(read(&same).fingerprint, first);

    let mut seen = std::collections::BTreeSet::from([first.root.clone()]);
    let mut differs = |name: &str, key: &str, edit: &dyn Fn(&mut Value)| {
        let mut document = mixed();
        edit(&mut document);
        let other = read(&document).fingerprint;
        assert!(seen.insert(other.root.clone()), "{name} is not seen");
        let changed: Vec<&str> =
            other.items.iter().filter(|item| !first.items.contains(item)).map(|(key, _)| key.as_str()).collect();
        assert_eq!(changed, [key], "{name}");
    };
    differs("a provisioner's command", "provisioner.terraform_data.script", &|document| {
        let resources = document["configuration"]["root_module"]["resources"].as_array_mut().expect("resources");
        let script = resources.iter_mut().find(|r| r["address"] == "terraform_data.script").expect("the script");
        script["provisioners"][0]["expressions"]["command"]["constant_value"] = json!("rm -rf /");
    });
    differs("another password", "terraform_data.secret", &|document| {
        change(document, "terraform_data.secret")["change"]["after"]["input"] = json!("another-horse");
    });
    differs("another value before", "terraform_data.script", &|document| {
        change(document, "terraform_data.script")["change"]["before"]["input"] = json!("line zero");
    });
    differs("a provider's configuration", "provider.local", &|document| {
        document["configuration"]["provider_config"]["local"]["expressions"] = json!({"x": {"constant_value": 1}});
    });
    differs("another tool", "tool", &|document| document["terraform_version"] = json!("1.11.5"));
    differs("another variable", "variables", &|document| document["variables"]["size"]["value"] = json!(3));
    differs("another import", "terraform_data.adopted", &|document| {
        change(document, "terraform_data.adopted")["change"]["importing"]["id"] = json!("other");
    });
    differs("another output", "output.names", &|document| {
        document["output_changes"]["names"]["after"] = json!(["a", "b", "z"]);
    });
}

#[test]
fn the_fingerprint_does_not_depend_on_the_job() {
    let at = |job: &str, rest: &str| {
        let mut document = mixed();
        change(&mut document, "local_file.conf")["change"]["after"]["filename"] =
            json!(format!("/srv/jobs/{job}/work/{rest}"));
        read(&document).fingerprint.root
    };
    let (one, two) = ("b-00000000000000000000000000000001-1", "b-ffffffffffffffffffffffffffffffff-23");
    assert_eq!(at(one, "net/x"), at(two, "net/x"));
    assert_ne!(at(one, "net/x"), at(one, "net/y"));
}

#[test]
fn equal_masks_are_not_equal_plans_and_the_key_matters() {
    let document = mixed();
    let mut other = mixed();
    change(&mut other, "terraform_data.secret")["change"]["after"]["input"] = json!("another-horse");
    assert_eq!(brief(&read(&document)), brief(&read(&other)));
    assert_ne!(read(&document).fingerprint, read(&other).fingerprint);
    let with_other_key = Iac::new(IacSettings::default())
        .read_plan(document.to_string().as_bytes(), &"another key".to_owned().into(), &[])
        .expect("readable");
    assert_ne!(with_other_key.fingerprint.root, read(&document).fingerprint.root);
}

#[test]
fn an_action_of_the_future_is_dangerous_and_named() {
    let mut document = mixed();
    change(&mut document, "terraform_data.leak")["change"]["actions"] = json!(["transmogrify"]);
    let document = read(&document);
    let first = &document.changes[0];
    assert_eq!((first.action, first.risk, first.address.as_str()), (Action::Other, Risk::High, "terraform_data.leak"));
    assert_eq!(first.reason.as_deref(), Some("unknown action \"transmogrify\""));
}

fn single(kind: &str, actions: Value, before: Value, after: Value) -> PlanDocument {
    let change = json!({"actions": actions, "before": before, "after": after, "after_unknown": {}, "before_sensitive": {}, "after_sensitive": {}});
    read(&json!({"format_version": "1.2", "terraform_version": "1.11.4", "resource_changes": [
        {"address": format!("{kind}.x"), "mode": "managed", "type": kind, "name": "x", "provider_name": "p", "change": change}
    ]}))
}

#[test]
fn risks_are_told_apart() {
    let database = json!({"id": "db", "engine": "postgres", "engine_version": "16.3", "allocated_storage": 200,
        "deletion_protection": false, "skip_final_snapshot": true});
    let destroyed = single("aws_db_instance", json!(["delete"]), database.clone(), Value::Null);
    assert_eq!((destroyed.risk, destroyed.changes[0].data_kind.as_deref()), (Risk::Data, Some("database")));
    let facts: Vec<String> = destroyed.changes[0].facts.iter().map(|(name, value)| format!("{name}={value}")).collect();
    insta::assert_snapshot!(facts.join(" "), @"engine=postgres 16.3 size=200 GiB deletion_protection=false skip_final_snapshot=true");

    let policy = |actions: Value| json!({"policy": json!({"Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}).to_string()});
    let update = json!(["update"]);
    let wider = single(
        "aws_iam_policy",
        update.clone(),
        policy(json!(["s3:GetObject"])),
        policy(json!(["s3:GetObject", "s3:PutObject"])),
    );
    let narrower = single("aws_iam_policy", update.clone(), policy(json!(["a:b", "c:d"])), policy(json!("a:b")));
    assert_eq!((wider.risk, narrower.risk), (Risk::High, Risk::Medium));
    let paths: Vec<&str> = wider.changes[0].attributes.iter().map(|found| found.path.as_str()).collect();
    assert_eq!(paths, ["policy.Statement[0].Action[1]"]);

    let group = |cidr: &str| json!({"ingress": [{"from_port": 22, "cidr_blocks": [cidr]}], "egress": [{"cidr_blocks": ["0.0.0.0/0"]}]});
    let opened = single("aws_security_group", update.clone(), group("10.0.0.0/8"), group("0.0.0.0/0"));
    let closed = single("aws_security_group", update.clone(), group("0.0.0.0/0"), group("10.0.0.0/8"));
    assert_eq!((opened.risk, closed.risk), (Risk::High, Risk::Medium));

    let tagged = single("aws_subnet", update, json!({"tags": {}}), json!({"tags": {"a": "b"}}));
    let created = single("aws_subnet", json!(["create"]), Value::Null, json!({"cidr": "10.0.0.0/24"}));
    let replaced = single("aws_subnet", json!(["create", "delete"]), json!({"a": 1}), json!({"a": 2}));
    assert_eq!((tagged.risk, created.risk, replaced.risk), (Risk::Medium, Risk::Low, Risk::High));
    assert_eq!((replaced.counts.add, replaced.counts.destroy, replaced.counts.replace), (1, 1, 1));
}

#[test]
fn items_of_lists_are_matched_not_shifted() {
    let rule = |port: u32| json!({"port": port, "cidr": ["10.0.0.0/8"]});
    let document = single(
        "aws_security_group",
        json!(["update"]),
        json!({"ingress": [rule(22), rule(80), rule(443)]}),
        json!({"ingress": [rule(80), rule(443), rule(8443)]}),
    );
    insta::assert_snapshot!(brief(&document), @r#"
    Medium Update aws_security_group.x unchanged 0
        ingress[2].port: 22 => 8443
    "#);
}

#[test]
fn a_huge_plan_keeps_every_line_and_says_what_it_leaves_out() {
    let after = json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8, "i": 9, "j": 10});
    let change = |index: usize, action: &str| {
        let before = if action == "create" { Value::Null } else { json!({"a": 2}) };
        json!({"address": format!("x.y[{index}]"), "mode": "managed", "type": "x", "name": "y",
            "change": {"actions": [action], "before": before, "after": after, "after_unknown": {}}})
    };
    let mut changes: Vec<Value> = (0..6000).map(|index| change(index, "create")).collect();
    changes.push(change(6000, "update"));
    let document = read(&json!({"format_version": "1.2", "resource_changes": changes}));
    assert_eq!((document.counts.add, document.changes.len()), (6000, 6001));
    assert_eq!((document.changes[0].risk, document.changes[0].attributes.len()), (Risk::Medium, 10));
    insta::assert_snapshot!(
        document.warnings.join("\n"),
        @"this plan is very large: the attributes of 1000 additions are not shown"
    );
    assert_eq!(document.fingerprint.items.len(), 6002);
}

#[test]
fn unreadable_documents_say_why_and_quote_nothing() {
    let message = |bytes: &[u8]| try_read(bytes).expect_err("unreadable").to_string();
    insta::assert_snapshot!(message(b"hello"), @"not a readable plan document: the plan document: it is not JSON (line 1, column 1)");
    insta::assert_snapshot!(message(b"{}"), @"not a readable plan document: it has no `format_version`: make it with `terraform show -json PLANFILE`");
    insta::assert_snapshot!(message(br#"{"format_version":"2.0"}"#), @r#"not a readable plan document: its format is "2.0"; this version reads 0.x and 1.x; is there a newer BuildIt?"#);
    let cut = message(&MIXED.as_bytes()[..MIXED.len() / 2]);
    assert!(cut.contains("it is cut off"), "{cut}");
    let wrong = message(br#"{"format_version":"1.2","resource_changes":[{"address":"a","change":"s3cret-value"}]}"#);
    assert!(wrong.contains("another shape") && !wrong.contains("s3cret"), "{wrong}");
}

#[test]
fn what_a_tool_says_in_front_of_its_document_is_left_out() {
    let preface = "\nWarning: Unable to open CLI configuration file\n\nThe file at \"/x/{}\" does not exist.\n";
    let both = format!("{preface}{MIXED}");
    let (with, without) = (try_read(both.as_bytes()).expect("read"), try_read(MIXED.as_bytes()).expect("read"));
    assert_eq!(with, without);
    let masked = |bytes: &[u8]| masked_json(bytes, &[]).expect("masked");
    assert_eq!(masked(both.as_bytes()), masked(MIXED.as_bytes()));
    assert!(try_read(preface.as_bytes()).is_err());
}

#[test]
fn every_cut_and_every_odd_value_is_an_error_or_a_plan_never_a_panic() {
    for at in (0..MIXED.len()).step_by(97).filter(|at| MIXED.is_char_boundary(*at)) {
        assert!(try_read(&MIXED.as_bytes()[..at]).is_err());
    }
    for odd in [Value::Null, json!(true), json!(7), json!("x"), json!([]), json!({}), json!([null])] {
        for name in ["before", "after", "after_unknown", "before_sensitive", "after_sensitive"] {
            let mut document = mixed();
            change(&mut document, "terraform_data.app")["change"][name] = odd.clone();
            read(&document);
            masked_json(document.to_string().as_bytes(), &[]).expect("masked");
        }
    }
}
