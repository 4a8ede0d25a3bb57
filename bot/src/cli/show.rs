//! `buildit show PLAN.json`: any plan document as the comment would show it.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use model::plan::{Change, OutputChange, PlanDocument};
use model::ports::IacEngine;
use runner::iac::{Iac, IacSettings};
use secrecy::SecretString;
use serde::Serialize;

use crate::render;

/// The largest document that is read, in bytes.
const LARGEST: u64 = 512 << 20;

/// Sensitive values enter the fingerprint under this key, so that two calls agree. A server's own fingerprints
/// have a secret key of their stack and differ.
const KEY: &str = "buildit show";

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// What `terraform show -json PLANFILE` or `tofu show -json PLANFILE` printed; `-` reads standard input
    pub plan: PathBuf,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    pub format: Format,
}

/// Forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Plain text
    Terminal,
    /// As in the comment on GitHub
    Markdown,
    /// For programs: counts, reasons, risk, fingerprint
    Json,
}

/// Writes the plan to `out`. An error is wrong use: exit code 2.
pub fn run(args: &ShowArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let document = read(&args.plan)?;
    let iac = Iac::new(IacSettings::default());
    let plan = iac.read_plan(&document, &SecretString::from(KEY), &[]).with_context(|| {
        format!(
            "{} is not a plan that can be read\n  do: terraform plan -out plan.bin, then terraform show -json plan.bin > plan.json",
            args.plan.display()
        )
    })?;
    out.write_all(text(&plan, args.format)?.as_bytes())?;
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(bytes.len() as u64 <= LARGEST, "{} is larger than {} MB", path.display(), LARGEST >> 20);
    Ok(bytes)
}

/// The plan in that form.
pub fn text(plan: &PlanDocument, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Terminal => render::plan_terminal(plan),
        Format::Markdown => render::plan_markdown(plan),
        Format::Json => serde_json::to_string_pretty(&Shown::of(plan))? + "\n",
    })
}

/// The stable JSON form; `preview` shows plans in it too.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    counts: model::plan::Counts,
    risk: model::plan::Risk,
    complete: bool,
    errored: bool,
    fingerprint: &'a str,
    tool_version: &'a str,
    changes: Vec<ShownChange<'a>>,
    outputs: Vec<ShownOutput<'a>>,
    drifted: Vec<&'a str>,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct ShownChange<'a> {
    address: &'a str,
    action: model::plan::Action,
    risk: model::plan::Risk,
    reason: Option<&'a str>,
    replace_paths: &'a [String],
    previous_address: Option<&'a str>,
    import_id: Option<&'a str>,
    data_kind: Option<&'a str>,
    changed_attributes: Vec<&'a str>,
}

#[derive(Serialize)]
struct ShownOutput<'a> {
    name: &'a str,
    action: model::plan::Action,
}

impl<'a> Shown<'a> {
    pub(super) fn of(plan: &'a PlanDocument) -> Self {
        let change = |change: &'a Change| ShownChange {
            address: &change.address,
            action: change.action,
            risk: change.risk,
            reason: change.reason.as_deref(),
            replace_paths: &change.replace_paths,
            previous_address: change.previous_address.as_deref(),
            import_id: change.import_id.as_deref(),
            data_kind: change.data_kind.as_deref(),
            changed_attributes: change.attributes.iter().map(|attribute| attribute.path.as_str()).collect(),
        };
        let output = |output: &'a OutputChange| ShownOutput { name: &output.name, action: output.action };
        Self {
            counts: plan.counts,
            risk: plan.risk,
            complete: plan.complete,
            errored: plan.errored,
            fingerprint: &plan.fingerprint.root,
            tool_version: &plan.tool_version,
            changes: plan.changes.iter().map(change).collect(),
            outputs: plan.outputs.iter().map(output).collect(),
            drifted: plan.drift.iter().map(|drift| drift.address.as_str()).collect(),
            warnings: &plan.warnings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"{"format_version":"1.2","terraform_version":"1.11.4","complete":true,"errored":false,
        "resource_changes":[{"address":"terraform_data.a","mode":"managed","type":"terraform_data","name":"a",
        "provider_name":"terraform.io/builtin/terraform","change":{"actions":["create"],"before":null,
        "after":{"input":"x"},"after_unknown":{"id":true,"output":true},"before_sensitive":false,"after_sensitive":{"input":false}}}],
        "output_changes":{"o":{"actions":["create"],"before":null,"after":"hunter2","after_unknown":false,"before_sensitive":true,"after_sensitive":true}}}"#;

    fn shown(document: &str, format: Format) -> anyhow::Result<String> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), document)?;
        let mut out = Vec::new();
        run(&ShowArgs { plan: file.path().to_owned(), format }, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn every_form_shows_the_change_and_no_secret() {
        for (format, needle) in [
            (Format::Terminal, "+ terraform_data.a"),
            (Format::Markdown, "```diff\n+ terraform_data.a"),
            (Format::Json, "\"address\": \"terraform_data.a\""),
        ] {
            let text = shown(PLAN, format).expect("a plan");
            assert!(text.contains(needle), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        let json: serde_json::Value = serde_json::from_str(&shown(PLAN, Format::Json).expect("a plan")).expect("JSON");
        assert_eq!(json["counts"]["add"], 1);
        assert_eq!(json["risk"], "low");
        assert_eq!(json["fingerprint"].as_str().map(str::len), Some(64));
    }

    #[test]
    fn what_is_no_plan_is_refused_with_what_to_do() {
        for document in ["", "{}", "[]", "not json", "{\"format_version\":\"9.0\"}"] {
            let error = format!("{:#}", shown(document, Format::Json).expect_err(document));
            assert!(error.contains("show -json plan.bin"), "{document}: {error}");
        }
        let mut out = Vec::new();
        let missing = ShowArgs { plan: "/nothing/here.json".into(), format: Format::Json };
        assert!(run(&missing, &mut out).expect_err("missing").to_string().contains("/nothing/here.json"));
    }
}
