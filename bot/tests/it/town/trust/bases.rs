//! What counts is what the trusted base says: rights, gates, modes, secrets and states.

use fake_github::{Change, NewPull, Verdict};

use super::{Case, ON_COMMENT, ON_MERGE, Scene, approve, grown, merge, play, say};
use crate::town::{SHOP, Town};

const TWO: &str = "discover\ndefaults {\n    apply on=comment\n    require { approvals 2 }\n}\n";
const DECLARED: &str = "discover\ndefaults {\n    apply on=comment\n}\nstack network {\n    path network\n    require { approvals 2 }\n}\n";
const TRUSTING: &str = "discover\nbranches \"release/*\"\ndefaults {\n    apply on=comment\n}\n";
const BOUND: &str = "discover\ndefaults {\n    apply on=comment\n}\nstack network {\n    path network\n    var { password secret=DB }\n}\n";

#[test]
fn the_base_rules() {
    play(&[
        Case { number: 50, what: "a change that asks for fewer approvals", config: TWO, play: fewer_approvals },
        Case { number: 51, what: "a change that gives itself rights", config: ON_COMMENT, play: own_rights },
        Case { number: 52, what: "a change that is applied before it is merged", config: ON_MERGE, play: own_mode },
        Case { number: 53, what: "a base whose own rules have errors", config: ON_COMMENT, play: broken_base },
        Case { number: 54, what: "a branch that nobody trusts", config: ON_COMMENT, play: untrusted },
        Case { number: 55, what: "rights of a branch that nobody trusts", config: ON_COMMENT, play: foreign_rights },
        Case { number: 56, what: "a change that trusts its own branch", config: ON_COMMENT, play: own_branch },
        Case { number: 57, what: "approvals from before it went into this base", config: TRUSTING, play: retargeted },
        Case { number: 58, what: "another name for a stack", config: DECLARED, play: renamed },
        Case { number: 59, what: "another stack's directory", config: DECLARED, play: displaced },
        Case { number: 60, what: "a stack outside of the repository", config: ON_COMMENT, play: outside },
        Case { number: 61, what: "a stack behind a symbolic link", config: ON_COMMENT, play: linked },
        Case { number: 62, what: "variables that change what runs", config: ON_COMMENT, play: environment },
        Case { number: 63, what: "a secret for somebody else's variable", config: BOUND, play: secret },
        Case { number: 64, what: "a fork", config: ON_COMMENT, play: fork },
        Case {
            number: 65,
            what: "a fork that was pushed to since it was allowed",
            config: ON_COMMENT,
            play: fork_moved,
        },
        Case { number: 66, what: "code owners by the change's own file", config: OWNED, play: codeowners },
        Case { number: 67, what: "a program that lets itself be heard", config: ON_COMMENT, play: own_bot },
        Case { number: 68, what: "a plan that is kept for longer", config: ON_COMMENT, play: ttl },
        Case { number: 69, what: "approving what one may not", config: TWO, play: config_word },
        Case { number: 70, what: "a word on the configuration from before the push", config: TWO, play: config_moved },
        Case {
            number: 71,
            what: "the base takes a right away while one waits",
            config: ON_COMMENT,
            play: base_tightens,
        },
    ]);
}

const OWNED: &str = "discover\ndefaults {\n    apply on=comment\n    require { codeowners; approvals 0 }\n}\n";

/// Ana's pull request of these files and a change of the network.
fn with(scene: &mut Scene, files: &[(&str, &str)]) -> u64 {
    let grown = grown(&[("vpc", "1")]);
    let mut all = vec![(grown[0].0, &*grown[0].1)];
    all.extend(files);
    let number = scene.town.open("topic", "topic", &all);
    scene.town.settle();
    number
}

fn config(text: &str) -> [(&str, &str); 1] {
    [(".buildit/stacks.kdl", text)]
}

fn fewer_approvals(scene: &mut Scene) {
    let number = with(scene, &config(ON_COMMENT));
    assert!(scene.town.shown().contains("Weakens gates: cache 2 → 1 approvals"), "{}", scene.town.shown());
    approve(&mut scene.town, number, "ben");
    scene.refused("waits for approvals 1 of 2", |town| say(town, number, "ana", "buildit apply -p network"));
    approve(&mut scene.town, number, "cat");
    scene.allowed(|town| say(town, number, "ana", "buildit apply -p network"));
}

fn own_rights(scene: &mut Scene) {
    let rights = format!("{ON_COMMENT}access {{\n    allow apply force-apply {{ who user:eve }}\n}}\n");
    let number = with(scene, &config(&rights));
    approve(&mut scene.town, number, "ben");
    assert!(scene.town.shown().contains("everywhere: access force-apply: nobody → user:eve"), "{}", scene.town.shown());
    scene.refused("yours is read", |town| say(town, number, "eve", "buildit apply -p network"));
    scene.refused("`force-apply` is for nobody until", |town| {
        say(town, number, "eve", "buildit force-apply -p network --reason mine");
    });
    scene.allowed(|town| say(town, number, "ben", "buildit apply -p network"));
}

fn own_mode(scene: &mut Scene) {
    let number = with(scene, &config(ON_COMMENT));
    approve(&mut scene.town, number, "ben");
    scene.refused("it is applied right after the merge (`apply on=merge`)", |town| {
        say(town, number, "ben", "buildit apply -p network");
    });
    scene.allowed(|town| merge(town, number));
}

fn broken_base(scene: &mut Scene) {
    scene.town.commit(
        "main",
        "Break",
        &config("discover\ndefaults {\n    apply on=comment\n    require { aproval 9 }\n}\n"),
    );
    scene.town.settle();
    let number = with(scene, &config(ON_COMMENT));
    approve(&mut scene.town, number, "ben");
    scene.refused("the base's own `.buildit/` has errors", |town| say(town, number, "ben", "buildit apply -p network"));
    scene.town.commit("main", "Mend", &config(ON_COMMENT));
    scene.town.settle();
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| say(town, number, "ben", "buildit apply -p network"));
}

/// Ana's pull request into a branch; a branch that is not there begins at `main`, with these files.
fn into(scene: &mut Scene, base: &str, files: &[(&str, &str)]) -> u64 {
    let main = scene.town.double.branch(SHOP, "main").expect("a branch");
    scene.town.double.push(SHOP, base, &main, "ana").expect("a branch");
    if !files.is_empty() {
        scene.town.commit(base, "Begin", files);
    }
    let tip = scene.town.double.branch(SHOP, base).expect("a branch");
    scene.town.double.push(SHOP, "topic", &tip, "ana").expect("a branch");
    let files = grown(&[("vpc", "1")]);
    scene.town.commit("topic", "topic", &[(files[0].0, &*files[0].1)]);
    let pull = NewPull { title: "topic".into(), head: "topic".into(), base: base.into(), ..NewPull::default() };
    let number = scene.town.open_as("ana", &pull);
    scene.town.settle();
    number
}

fn untrusted(scene: &mut Scene) {
    let number = into(scene, "mine", &[]);
    approve(&mut scene.town, number, "ben");
    scene.refused("`mine` is not a trusted branch", |town| say(town, number, "ben", "buildit apply"));
    assert!(scene.town.shown().contains("Not planned: mine is not a trusted branch"));
    scene.town.double.change_base(SHOP, number, "ana", "main").expect("retargeted");
    scene.town.settle();
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| say(town, number, "ben", "buildit apply"));
}

fn foreign_rights(scene: &mut Scene) {
    // Another pull request has the lock, and the last word is the administrator's.
    let first = scene.change("one", &[("vpc", "5")]);
    approve(&mut scene.town, first, "ben");
    scene.allowed(|town| say(town, first, "ana", "buildit apply"));
    let mine = "discover\naccess {\n    allow unlock approve-state approve-lost force-apply { who user:eve }\n}\n";
    let number = into(scene, "mine", &config(mine));
    for words in [
        &*format!("buildit unlock {first} --accept-ahead"),
        "buildit approve lost",
        "buildit approve state",
        "buildit approve config",
        "buildit discard -p network mine",
        "buildit force-apply -p network --reason mine",
    ] {
        scene.refused("`mine` is not a trusted branch: its rules say nothing about who may do that", |town| {
            say(town, number, "eve", words);
        });
    }
}

fn own_branch(scene: &mut Scene) {
    let trusting = "discover\nbranches \"mine\"\ndefaults {\n    apply on=comment\n}\n";
    let number = into(scene, "mine", &config(trusting));
    approve(&mut scene.town, number, "ben");
    scene.refused("`mine` is not a trusted branch", |town| say(town, number, "ben", "buildit apply"));
    scene.town.commit("main", "Trust it", &config(trusting));
    scene.town.settle();
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| say(town, number, "ben", "buildit apply"));
}

fn retargeted(scene: &mut Scene) {
    let number = into(scene, "release/1", &[]);
    approve(&mut scene.town, number, "ben");
    scene.town.advance(2);
    scene.town.double.change_base(SHOP, number, "ana", "main").expect("retargeted");
    scene.town.settle();
    scene.refused("not counted: ben (given before the pull request went into `main`)", |town| {
        say(town, number, "ben", "buildit apply");
    });
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| say(town, number, "ben", "buildit apply"));
}

fn renamed(scene: &mut Scene) {
    let other = "discover\ndefaults {\n    apply on=comment\n}\nstack net {\n    path network\n}\n";
    let number = with(scene, &config(other));
    approve(&mut scene.town, number, "ben");
    scene.refused("stack `net` takes the directory of stack `network` of the base", |town| {
        say(town, number, "ben", "buildit apply -p net");
        town.resync();
        assert!(town.jobs.started().is_empty(), "nothing was planned");
        say(town, number, "ben", "buildit why");
    });
    // It says what it was, and is asked for as much.
    scene.town.commit("topic", "Say so", &config(&other.replace("stack net {", "stack net was=network {")));
    approve(&mut scene.town, number, "ben");
    scene.refused("waits for approvals 1 of 2", |town| say(town, number, "ben", "buildit apply -p net"));
    approve(&mut scene.town, number, "cat");
    scene.allowed(|town| say(town, number, "ben", "buildit apply -p net"));
}

fn displaced(scene: &mut Scene) {
    let other = format!("{DECLARED}stack thief {{\n    path network\n}}\n");
    let number = with(scene, &config(&other));
    approve(&mut scene.town, number, "ben");
    scene.refused("**Refused:**", |town| {
        say(town, number, "ben", "buildit apply -p thief");
        assert!(town.jobs.started().is_empty(), "nothing was planned");
    });
    scene.town.commit("topic", "Elsewhere", &config(DECLARED));
    approve(&mut scene.town, number, "ben");
    approve(&mut scene.town, number, "cat");
    scene.allowed(|town| say(town, number, "ben", "buildit apply -p network"));
}

/// A pull request that is opened by this, closed and forgotten.
fn refused_when_opened(scene: &mut Scene, why: &str, changes: &[Change]) {
    let mut number = 0;
    scene.not_run(why, |town| {
        town.double.commit_files(SHOP, "attack", "ana", "Attack", changes).expect("a commit");
        let pull = NewPull { title: "Attack".into(), head: "attack".into(), base: "main".into(), ..NewPull::default() };
        number = town.open_as("ana", &pull);
        town.settle();
        say(town, number, "ben", "buildit plan -p thief\nbuildit plan");
    });
    scene.town.double.close_pull(SHOP, number, "ana").expect("closed");
    scene.town.double.delete_branch(SHOP, "attack", "ana").expect("deleted");
    scene.town.settle();
}

fn outside(scene: &mut Scene) {
    for path in ["../other", "/etc", "network/../../other", ".git", "network/.terraform"] {
        let text = format!("{ON_COMMENT}stack thief {{\n    path \"{path}\"\n}}\n");
        refused_when_opened(scene, "stacks.kdl line 5", &[Change::write(".buildit/stacks.kdl", text)]);
    }
    let number = with(scene, &[]);
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| say(town, number, "ben", "buildit apply"));
}

fn linked(scene: &mut Scene) {
    let text = format!("{ON_COMMENT}stack thief {{\n    path thief\n}}\n");
    let link = Change::Link { path: "thief".into(), target: "../../../etc".into() };
    refused_when_opened(scene, "there is no stack `thief` here", &[link, Change::write(".buildit/stacks.kdl", text)]);
    let number = with(scene, &[]);
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| say(town, number, "ben", "buildit apply"));
}

fn environment(scene: &mut Scene) {
    for name in ["LD_PRELOAD", "TF_CLI_ARGS_apply", "PATH", "GIT_SSH_COMMAND", "BASH_ENV"] {
        let text = format!("{ON_COMMENT}stack network {{\n    path network\n    env {{ {name} \"x\" }}\n}}\n");
        let changes = [Change::write(".buildit/stacks.kdl", text), Change::write("network/more.tf", "# more\n")];
        refused_when_opened(scene, "may not be set by a repository: it changes which code runs", &changes);
    }
    // Where the state is kept here, the address and the token go together.
    let text = format!("{ON_COMMENT}stack network {{\n    path network\n    env {{ TF_HTTP_ADDRESS \"x\" }}\n}}\n");
    let kept = "resource \"terraform_data\" \"vpc\" {\n  input = \"1\"\n}\n";
    let changes = [Change::write(".buildit/stacks.kdl", text), Change::write("network/main.tf", kept)];
    refused_when_opened(scene, "is set by BuildIt, which keeps the state", &changes);
    let text = format!("{ON_COMMENT}stack network {{\n    path network\n    env {{ AWS_REGION \"x\" }}\n}}\n");
    let number = with(scene, &config(&text));
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| say(town, number, "ben", "buildit apply"));
}

fn secret(scene: &mut Scene) {
    scene.town.set_secret("DB", Some("correct-horse"));
    let greedy = BOUND.replace("var { password secret=DB }", "var { password secret=DB; name secret=DB }");
    let number = with(scene, &config(&greedy));
    scene.not_run("`buildit allow` for the secret `DB`", |town| say(town, number, "ben", "buildit plan -p network"));
    scene.not_run("`allow` needs the right to write here; yours is read", |town| {
        let head = town.double.branch(SHOP, "topic").expect("a branch");
        say(town, number, "eve", &format!("buildit allow {}", &head[..7]));
    });
    scene.run(|town| {
        let head = town.double.branch(SHOP, "topic").expect("a branch");
        say(town, number, "ben", &format!("buildit allow {}", &head[..7]));
    });
}

/// Eve's pull request from her fork.
fn forked(scene: &mut Scene) -> (u64, String) {
    let fork = scene.town.double.create_fork(SHOP, "eve").expect("a fork");
    let files = grown(&[("vpc", "1")]);
    let change = [Change::write(files[0].0, &files[0].1)];
    let head = scene.town.double.commit_files(&fork, "topic", "eve", "topic", &change).expect("a commit");
    let pull = NewPull { title: "topic".into(), head: "eve:topic".into(), base: "main".into(), ..NewPull::default() };
    let number = scene.town.open_as("eve", &pull);
    scene.town.settle();
    (number, head)
}

fn fork(scene: &mut Scene) {
    let (number, head) = forked(scene);
    scene.not_run("comes from a fork; read the diff", |town| say(town, number, "ben", "buildit plan"));
    scene.not_run("yours is read", |town| say(town, number, "eve", &format!("buildit allow {head}")));
    scene.not_run("7", |town| say(town, number, "ben", &format!("buildit allow {}", &head[..6])));
    scene.run(|town| say(town, number, "ben", &format!("buildit allow {}", &head[..7])));
    approve(&mut scene.town, number, "cat");
    scene.allowed(|town| say(town, number, "ben", "buildit apply"));
}

fn fork_moved(scene: &mut Scene) {
    let (number, old) = forked(scene);
    let files = grown(&[("vpc", "666")]);
    let change = [Change::write(files[0].0, &files[0].1)];
    let new = scene.town.double.commit_files("eve/shop", "topic", "eve", "More", &change).expect("a commit");
    scene.town.settle();
    scene
        .not_run("read what is new, then allow that", |town| say(town, number, "ben", &format!("buildit allow {old}")));
    scene.run(|town| say(town, number, "ben", &format!("buildit allow {new}")));
    let change = [Change::write("network/more.tf", "# more\n")];
    scene.town.double.commit_files("eve/shop", "topic", "eve", "Yet more", &change).expect("a commit");
    scene.town.settle();
    scene.not_run("comes from a fork; read the diff", |town| say(town, number, "ben", "buildit plan"));
}

fn codeowners(scene: &mut Scene) {
    scene.town.commit("main", "Owners", &[(".github/CODEOWNERS", "* @cat\n")]);
    let rules = fake_github::Rules { approvals: Some(1), code_owners: true, ..fake_github::Rules::default() };
    scene.town.double.set_ruleset(SHOP, "owners", "~DEFAULT_BRANCH", rules).expect("a rule");
    scene.town.settle();
    let number = with(scene, &[(".github/CODEOWNERS", "* @ben\n")]);
    approve(&mut scene.town, number, "ben");
    scene.refused("a code owner's review is missing", |town| say(town, number, "ben", "buildit apply"));
    approve(&mut scene.town, number, "cat");
    scene.allowed(|town| say(town, number, "ben", "buildit apply"));
}

fn own_bot(scene: &mut Scene) {
    let rights = format!("{ON_COMMENT}commands {{\n    bots \"buildit-helper[bot]\"\n}}\n");
    let spec = fake_github::AppSpec::new(8, "buildit-helper", "a webhook secret", &[("issues", "write")], &[]);
    scene.town.double.create_app(spec).expect("an app");
    scene.town.double.install_app(8, SHOP).expect("installed");
    let number = with(scene, &config(&rights));
    approve(&mut scene.town, number, "ben");
    assert!(scene.town.shown().replace('\\', "").contains("bots: nothing → buildit-helper[bot]"), "it is told");
    scene.ignored(|town| say(town, number, "buildit-helper[bot]", "buildit apply -p network"));
    scene.allowed(|town| say(town, number, "ben", "buildit apply -p network"));
}

fn ttl(scene: &mut Scene) {
    let longer = "discover\ndefaults {\n    apply on=comment\n    plan ttl=\"1000d\"\n}\n";
    let number = with(scene, &config(longer));
    approve(&mut scene.town, number, "ben");
    scene.town.advance(8 * 24 * 3600);
    scene.refused("the plan is older than its `ttl`", |town| say(town, number, "ben", "buildit apply -p network"));
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| say(town, number, "ben", "buildit apply -p network"));
}

/// Does the check of the configuration say this now?
fn check(town: &Town, said: &str) -> bool {
    let shown = town.shown();
    shown
        .split("-- check buildit/config at ")
        .last()
        .is_some_and(|check| check.lines().take(2).any(|it| it.contains(said)))
}

fn config_word(scene: &mut Scene) {
    let number = with(scene, &config(ON_COMMENT));
    assert!(check(&scene.town, "action_required"), "{}", scene.town.shown());
    scene.refused("`approve config` needs the right to maintain here; yours is write", |town| {
        say(town, number, "ben", "buildit approve config");
    });
    assert!(check(&scene.town, "action_required"));
    say(&mut scene.town, number, "ana", "buildit reject config");
    assert!(check(&scene.town, "failure"), "{}", scene.town.shown());
    say(&mut scene.town, number, "ana", "buildit approve config");
    assert!(check(&scene.town, "success"), "{}", scene.town.shown());
    say(&mut scene.town, number, "ana", "buildit approve config --clear");
    assert!(check(&scene.town, "action_required"), "{}", scene.town.shown());
    // Nothing of it opens a gate of the change itself.
    say(&mut scene.town, number, "ana", "buildit approve config");
    approve(&mut scene.town, number, "ben");
    scene.refused("waits for approvals 1 of 2", |town| say(town, number, "ben", "buildit apply -p network"));
    approve(&mut scene.town, number, "cat");
    scene.allowed(|town| say(town, number, "ben", "buildit apply -p network"));
}

fn config_moved(scene: &mut Scene) {
    let number = with(scene, &config(ON_COMMENT));
    say(&mut scene.town, number, "ana", "buildit approve config");
    assert!(check(&scene.town, "success"), "{}", scene.town.shown());
    scene.refused("Weakens gates: cache 2 → 0 approvals", |town| {
        town.commit(
            "topic",
            "More",
            &config("discover\ndefaults {\n    apply on=comment\n    require { approvals 0 }\n}\n"),
        );
    });
    assert!(check(&scene.town, "action_required"), "{}", scene.town.shown());
    // A push that loosens nothing more keeps the word.
    say(&mut scene.town, number, "ana", "buildit approve config");
    scene.town.commit("topic", "Words", &[("README.md", "# words\n")]);
    scene.town.settle();
    assert!(check(&scene.town, "success"), "{}", scene.town.shown());
    approve(&mut scene.town, number, "ben");
    approve(&mut scene.town, number, "cat");
    scene.allowed(|town| say(town, number, "ben", "buildit apply -p network"));
}

fn base_tightens(scene: &mut Scene) {
    let first = scene.change("one", &[("vpc", "1")]);
    let second = scene.change("two", &[("vpc", "1"), ("dns", "2")]);
    approve(&mut scene.town, first, "ben");
    say(&mut scene.town, first, "ana", "buildit apply");
    approve(&mut scene.town, second, "ben");
    say(&mut scene.town, second, "cat", "buildit apply");
    let tighter = format!("{ON_COMMENT}access {{\n    deny apply {{ who user:cat }}\n}}\n");
    scene.town.commit("main", "Deny", &config(&tighter));
    scene.town.settle();
    scene.refused("cat asked for it, and may not any more: `apply` is denied to user:cat", |town| merge(town, first));
    scene.town.double.review(SHOP, second, "ben", Verdict::Approve, "Still.").expect("a review");
    scene.allowed(|town| say(town, second, "ana", "buildit apply"));
}
