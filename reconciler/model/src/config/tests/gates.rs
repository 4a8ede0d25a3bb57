//! `require`, `access`, `apply` and `lock` through every layer.

use insta::assert_snapshot;

use super::{SAMPLE, file, layout, refused, repo, resolved, shown};
use crate::access::Right;
use crate::config::{ResolveInput, Resolved, parse, resolve};
use crate::pull::Role;
use crate::stack::Stack;
use crate::who::{Person, Teams};

pub(super) fn asked(stack: &Stack) -> String {
    stack.require.items().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn of(text: &str) -> String {
    asked(&resolved(text, &["a"]).stacks[0])
}

fn with_organisation(organisation: &str, own: &str) -> Resolved {
    let (organisation, own) = (parse(&[file(organisation)]), parse(&[file(own)]));
    assert_eq!(shown(&organisation.diagnostics) + &shown(&own.diagnostics), "");
    resolve(ResolveInput {
        repo: &repo(),
        config: &own.config,
        organisation: Some(&organisation.config),
        layout: &layout(&["a", "b"]),
    })
}

#[test]
fn the_sample_asks_for_what_it_says() {
    let found = resolved(SAMPLE, &["infra/network", "infra/prod/eu/cluster", "infra/dns"]);
    let line = |stack: &Stack| format!("{}: {}", stack.name, asked(stack));
    let lines: Vec<String> = found.stacks.iter().map(line).collect();
    assert_snapshot!(lines.join("\n"), @r#"
    cluster-prod-eu: approvals 1; approvals 2 any-of team:sre; codeowners; checks-passed; undiverged; window "0 9 * * MON-THU" for 8h Europe/Paris; policy cost; policy no-public-buckets
    infra/dns: approvals 1; checks-passed; undiverged
    network: approvals 1; checks-passed; undiverged
    "#);
    let cluster = &found.stacks[0];
    assert_snapshot!(cluster.describe(), @r#"
    stack "cluster-prod-eu" path="infra/prod/eu/cluster"
        tool opentofu 1.10
        tags env:prod, region:eu
        var cost_center = the secret COST_CENTER
        env AWS_REGION = "eu-west-1"
        depends-on network
        depends-on network
        plan auto=true drafts=true timeout=1800s
        apply on=comment automerge=squash after-upstream=ask timeout=7200s
        lock apply per=base-branch
        require approvals 1
        require approvals 2 any-of team:sre
        require codeowners
        require checks-passed
        require undiverged
        require window "0 9 * * MON-THU" for 8h Europe/Paris
        require policy cost
        require policy no-public-buckets
        access allow plan to role:write
        access allow apply to team:sre
        access deny force-apply to *
    "#);
    let lines = found.explained[&cluster.name].iter().map(|one| {
        let at = one.at.as_ref().map_or_else(|| "built in".to_owned(), |at| at.line.to_string());
        format!("{}|{}|{at}", one.key, one.value)
    });
    let gates = lines.filter(|line| line.starts_with("require") || line.starts_with("al") || line.starts_with("de"));
    assert_snapshot!(gates.collect::<Vec<_>>().join("\n"), @r#"
    allow plan|role:write|121
    allow apply|team:sre|122
    deny force-apply|*|123
    depends-on network||45
    require approvals|1|8
    require approvals|2 any-of team:sre|12
    require codeowners||48
    require checks-passed||8
    require undiverged||8
    require window|"0 9 * * MON-THU" for 8h Europe/Paris|49
    require policy|cost|51
    require policy|no-public-buckets|51
    "#);
}

#[test]
fn requirements_add_up() {
    for (text, expected) in [
        ("discover", "approvals 1; checks-passed; undiverged"),
        ("stack a { require { codeowners } }", "approvals 1; codeowners; checks-passed; undiverged"),
        ("stack a { require { approvals 0 } }", "checks-passed; undiverged"),
        (
            "defaults { require { approvals 2 } }\nstack a { require { approvals 0 } }",
            "approvals 2; checks-passed; undiverged",
        ),
        (
            "stack a { require { approvals { all-of team:sec } } }",
            "approvals 1 all-of team:sec; checks-passed; undiverged",
        ),
        (
            "stack a { require { approvals 1 { not-author #false; not-pusher #false; on-latest-push } } }",
            "approvals 1 not-author #false not-pusher #false on-latest-push; checks-passed; undiverged",
        ),
        (
            "defaults { require { undiverged scope=repository; checks-passed { ignore \"codecov/*\" lint } } }\ndefaults path=\"a\" { require { checks-passed { ignore lint }; signed; cost-below 500 } }\nstack a",
            "approvals 1; checks-passed ignoring lint; undiverged scope=repository; signed; cost-below 500",
        ),
        (
            "fragment strict { approvals 3; codeowners }\nstack a { require { use strict } }",
            "approvals 3; codeowners; checks-passed; undiverged",
        ),
        (
            "fragment strict { approvals 3; codeowners }\nstack a { use strict }",
            "approvals 3; codeowners; checks-passed; undiverged",
        ),
        (
            "fragment by { require { approvals 1 { any-of \"team:{team}\" } } }\nstack a { use by team=dba }",
            "approvals 1 any-of team:dba; checks-passed; undiverged",
        ),
        (
            "stack \"{env}\" { require { approvals 1 { any-of \"team:{env}-owners\" } } }",
            "approvals 1 any-of team:a-owners; checks-passed; undiverged",
        ),
    ] {
        assert_eq!(of(text), expected, "{text}");
    }
}

#[test]
fn enforce_comes_last_and_only_tightens() {
    let organisation = "repository \"infra*\" { discover }\nenforce { require { codeowners }; policies cost }\nenforce path=\"b\" { require { approvals 2; checks-passed } }";
    let own = "defaults { require { approvals 0; checks-passed { ignore lint } } }";
    let found = with_organisation(organisation, own);
    assert_eq!(asked(&found.stacks[0]), "codeowners; checks-passed ignoring lint; undiverged; policy cost");
    assert_eq!(asked(&found.stacks[1]), "approvals 2; codeowners; checks-passed; undiverged; policy cost");
    // The organisation's ordinary layer is one among others.
    let found = with_organisation("repository \"infra*\" { discover; defaults { require { approvals 3 } } }", own);
    assert_eq!(asked(&found.stacks[0]), "approvals 3; checks-passed ignoring lint; undiverged");
}

#[test]
fn what_cannot_be_a_gate_is_named() {
    assert_snapshot!(refused("stack a { require { approvals 1 { any-of sre } } }"), @r"1:42 who: `sre` names nobody | write user:sre or team:sre");
    assert_snapshot!(refused("stack a { require { window duration=\"8h\" } }"), @r#"1:21 window: a window needs `cron` and `duration` | write window cron="0 9 * * MON-FRI" duration="8h" tz="Europe/Paris""#);
    assert_snapshot!(refused("stack a { require { window cron=\"0 9 * *\" duration=\"8h\" tz=\"Europe/Pariss\" } }"), @r#"
    1:28 bad-cron: `0 9 * *` has 4 fields; a cron expression has five | minute hour day month weekday, such as "0 9 * * MON-FRI"
    1:57 unknown-time-zone: unknown time zone `Europe/Pariss` | write a name such as Europe/Paris or UTC
    "#);
    assert_snapshot!(refused("stack a { require { window cron=\"0 99 * * *\" duration=\"8h\" } }"), @r#"1:28 bad-cron: `0 99 * * *` is not a cron expression: Component error: Number out of bounds. | minute hour day month weekday, such as "0 9 * * MON-FRI""#);
    assert_snapshot!(refused("access { allow aply { who \"*\" }; deny plan; allow apply { who team:a; on \"env:prod\" } }"), @r#"
    1:16 unknown-command: there is no command `aply` | did you mean `apply`?
    1:34 who: `deny` names nobody | write who team:sre, user:ana, role:write, author or "*"
    1:74 selector: `env:prod` selects nothing | write "tag:env:prod", "path:infra/**" or "stack:net-*"
    "#);
    assert_snapshot!(refused("commands { allow apply }"), @r"1:18 unknown-value: `apply` is not one of import, state rm, state mv, force-unlock | write one of import, state rm, state mv, force-unlock");
    let found = parse(&[file("stack \"{env}\" { require { approvals \"{env}\" { any-of \"team:{nobody}\" } } }")]);
    let input = ResolveInput { repo: &repo(), config: &found.config, organisation: None, layout: &layout(&["x"]) };
    assert_snapshot!(shown(&resolve(input).diagnostics), @r"
    1:27 unknown-brace: unknown `{nobody}` | known here: env
    1:27 who: `team:{nobody}` names nobody | write the team's slug, without its organisation: team:sre
    ");
}

#[test]
fn windows_of_one_require_are_alternatives() {
    let two = "require { window cron=\"0 9 * * *\" duration=\"2h\"; window cron=\"0 18 * * *\" duration=\"2h\" tz=\"Asia/Tokyo\" }";
    let text = format!("defaults {{ {two} }}\nstack a {{ require {{ window cron=\"0 0 * * MON\" duration=\"1d\" }} }}");
    let stack = &resolved(&text, &["a"]).stacks[0];
    assert_eq!(stack.require.windows.len(), 2);
    assert_eq!(stack.require.windows.iter().map(|set| set.any.len()).sum::<usize>(), 3);
}

#[test]
fn rights_reach_the_stacks_that_they_select() {
    let text = "stack a { tags \"env:prod\" }\nstack b\naccess {\n allow apply { who team:sre; on \"tag:env:prod\" \"stack:x\" }\n deny unlock { who \"*\"; on \"path:b\" }\n deny force-apply { who \"*\" }\n}\ncommands { allow \"state rm\"; bots \"renovate[bot]\" }";
    let found = resolved(text, &["a", "b"]);
    let teams = Teams::default();
    let ana = Person { login: "ana", bot: false, role: Some(Role::Admin), is_author: Some(false), teams: &teams };
    let may = |index: usize, right| found.stacks[index].access.may(right, &ana).is_ok();
    assert!(!may(0, Right::Apply) && may(1, Right::Apply));
    assert!(may(0, Right::Unlock) && !may(1, Right::Unlock));
    assert!(may(0, Right::StateRm) && !may(0, Right::Import));
    assert!(found.access.may(Right::Allow, &ana).is_ok());
    assert_eq!(found.access.rules.len(), 1);
    assert!(found.access.bots.contains("renovate[bot]"));
}
