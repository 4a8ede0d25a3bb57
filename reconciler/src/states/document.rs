//! What a state says of itself: lineage and serial, which terraform writes and OpenTofu leaves in clear when it
//! encrypts the rest.
//!
//! Must never change more of a state than its serial.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// Longer lineages are nobody's.
const LONGEST_LINEAGE: usize = 200;

/// The top of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) lineage: String,
    pub(crate) serial: i64,
    pub(crate) encrypted: bool,
    /// The version of the tool that wrote it; unknown for an encrypted one.
    pub(crate) tool: Option<String>,
}

/// Why bytes are no state that can be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not the JSON of a state.
    #[error("it is not the JSON of a state: {0}")]
    Json(String),
    /// Without a lineage it belongs nowhere.
    #[error("it has no usable lineage; write it with a supported version of terraform or OpenTofu")]
    Lineage,
    /// Serials are counted up to 2^63-1.
    #[error("its serial is out of range")]
    Serial,
    /// Neither a state's version nor encrypted data.
    #[error("it names no state format; a state has `version`, or `encrypted_data` when OpenTofu encrypted it")]
    Format,
    /// Only OpenTofu with its key could do it.
    #[error("it is encrypted by OpenTofu, and only OpenTofu with its key can read or renumber it")]
    Encrypted,
}

#[derive(Deserialize)]
struct Top {
    version: Option<u64>,
    terraform_version: Option<String>,
    serial: u64,
    lineage: String,
    encrypted_data: Option<IgnoredAny>,
}

fn no_json(error: &serde_json::Error) -> DocumentError {
    // The message of serde may quote values of the state: say the place only.
    DocumentError::Json(format!("line {}, column {}", error.line(), error.column()))
}

impl Document {
    /// Reads the top of a state.
    pub(crate) fn read(body: &[u8]) -> Result<Self, DocumentError> {
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(DocumentError::Json("it is no object".to_owned()));
        }
        let top: Top = serde_json::from_slice(body).map_err(|error| no_json(&error))?;
        let lineage = top.lineage;
        if lineage.is_empty() || lineage.len() > LONGEST_LINEAGE || lineage.chars().any(char::is_control) {
            return Err(DocumentError::Lineage);
        }
        if top.version.is_none() && top.encrypted_data.is_none() {
            return Err(DocumentError::Format);
        }
        let serial = i64::try_from(top.serial).map_err(|_| DocumentError::Serial)?;
        Ok(Self { lineage, serial, encrypted: top.encrypted_data.is_some(), tool: top.terraform_version })
    }
}

/// The same state with another serial, every other byte as it was.
pub(crate) fn with_serial(body: &[u8], serial: i64) -> Result<Vec<u8>, DocumentError> {
    #[derive(Deserialize)]
    struct Spot<'a> {
        #[serde(borrow)]
        serial: &'a RawValue,
        encrypted_data: Option<IgnoredAny>,
    }
    let spot: Spot<'_> = serde_json::from_slice(body).map_err(|error| no_json(&error))?;
    if spot.encrypted_data.is_some() {
        // OpenTofu compares the serial in clear with the one inside.
        return Err(DocumentError::Encrypted);
    }
    let old = spot.serial.get();
    // The raw value is a part of `body`.
    let start = old.as_ptr().addr().checked_sub(body.as_ptr().addr()).ok_or(DocumentError::Serial)?;
    let (before, rest) = body.split_at_checked(start).ok_or(DocumentError::Serial)?;
    let after = rest.get(old.len()..).ok_or(DocumentError::Serial)?;
    Ok([before, serial.to_string().as_bytes(), after].concat())
}

/// An output of a state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StateOutput {
    /// Its value.
    pub value: serde_json::Value,
    /// Its type as terraform writes it, such as `"string"` or `["list","string"]`.
    #[serde(rename = "type")]
    pub kind: serde_json::Value,
    /// Must it not be shown?
    #[serde(default)]
    pub sensitive: bool,
}

/// The outputs of a state.
pub(crate) fn outputs(body: &[u8]) -> Result<BTreeMap<String, StateOutput>, DocumentError> {
    #[derive(Deserialize)]
    struct Outputs {
        #[serde(default)]
        outputs: BTreeMap<String, StateOutput>,
        encrypted_data: Option<IgnoredAny>,
    }
    let read: Outputs = serde_json::from_slice(body).map_err(|error| no_json(&error))?;
    if read.encrypted_data.is_some() { Err(DocumentError::Encrypted) } else { Ok(read.outputs) }
}

/// Addresses of the resource instances of a state; `None` when its resources cannot be read, as when it is encrypted.
pub(crate) fn addresses(body: &[u8]) -> Option<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct State {
        resources: Vec<Resource>,
    }
    #[derive(Deserialize)]
    struct Resource {
        #[serde(default)]
        module: String,
        #[serde(default)]
        mode: String,
        #[serde(rename = "type")]
        kind: String,
        name: String,
        #[serde(default)]
        instances: Vec<Instance>,
    }
    #[derive(Deserialize)]
    struct Instance {
        index_key: Option<serde_json::Value>,
    }
    let state: State = serde_json::from_slice(body).ok()?;
    let mut all = BTreeSet::new();
    for resource in state.resources {
        let module = if resource.module.is_empty() { String::new() } else { format!("{}.", resource.module) };
        let data = if resource.mode == "data" { "data." } else { "" };
        for instance in &resource.instances {
            // A text is in quotes, a number is not: as the tools write addresses.
            let index = instance.index_key.as_ref().map(|key| format!("[{key}]")).unwrap_or_default();
            all.insert(format!("{module}{data}{}.{}{index}", resource.kind, resource.name));
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = r#"{
  "version": 4, "terraform_version": "1.11.4", "serial": 7, "lineage": "6b1b",
  "outputs": {"a": {"value": {"serial": 7, "n": 1e400}, "type": "string", "sensitive": true}},
  "resources": [{"serial": 7}]
}"#;

    #[test]
    fn the_top_is_read_and_only_the_serial_changes() {
        let state = STATE.replace("1e400", "100000000000000000000001");
        let read = Document::read(state.as_bytes()).expect("a state");
        assert_eq!((read.lineage.as_str(), read.serial, read.encrypted), ("6b1b", 7, false));
        assert_eq!(read.tool.as_deref(), Some("1.11.4"));
        let raised = String::from_utf8(with_serial(state.as_bytes(), 12).expect("raised")).expect("text");
        assert_eq!(raised, state.replacen("\"serial\": 7", "\"serial\": 12", 1));
    }

    #[test]
    fn encrypted_states_keep_lineage_and_serial_and_are_not_renumbered() {
        let state = r#"{"serial":3,"lineage":"l","meta":{},"encrypted_data":"AAAA","encryption_version":"v0"}"#;
        let read = Document::read(state.as_bytes()).expect("a state");
        assert_eq!((read.serial, read.encrypted, read.tool), (3, true, None));
        assert_eq!(with_serial(state.as_bytes(), 4), Err(DocumentError::Encrypted));
        assert_eq!(outputs(state.as_bytes()), Err(DocumentError::Encrypted));
    }

    #[test]
    fn what_is_no_state_is_refused_without_its_values() {
        for (body, why) in [
            ("", "no object"),
            (r#"[4,"1",1,"hunter2",null]"#, "no object"),
            ("{", "line 1, column 1"),
            (r#"{"version":4,"serial":1,"serial":2,"lineage":"hunter2"}"#, "line 1, column"),
            (r#"{"version":4,"serial":-1,"lineage":"hunter2"}"#, "line 1, column"),
            (r#"{"version":4,"serial":"hunter2","lineage":"l"}"#, "line 1, column"),
            (r#"{"version":4,"serial":1,"lineage":""}"#, "no usable lineage"),
            (r#"{"version":4,"serial":1,"lineage":"a\nb"}"#, "no usable lineage"),
            (r#"{"version":4,"serial":9223372036854775808,"lineage":"l"}"#, "out of range"),
            (r#"{"serial":1,"lineage":"l"}"#, "names no state format"),
        ] {
            let error = Document::read(body.as_bytes()).expect_err(body).to_string();
            assert!(error.contains(why) && !error.contains("hunter2"), "{body}: {error}");
        }
    }

    #[test]
    fn outputs_keep_their_values_and_marks() {
        let state = STATE.replace("1e400", "1");
        let read = outputs(state.as_bytes()).expect("outputs");
        assert!(read["a"].sensitive);
        assert_eq!(read["a"].value["serial"], 7);
        assert!(outputs(br#"{"version":4,"serial":1,"lineage":"l"}"#).expect("none").is_empty());
    }

    #[test]
    fn addresses_are_written_as_the_tools_write_them() {
        let body = br#"{"version":4,"resources":[
            {"mode":"managed","type":"aws_subnet","name":"a","instances":[{"index_key":"c"},{"index_key":0},{}]},
            {"module":"module.x[\"y\"]","mode":"data","type":"t","name":"n","instances":[{}]}]}"#;
        let all: Vec<String> = addresses(body).expect("read").into_iter().collect();
        assert_eq!(all, ["aws_subnet.a", "aws_subnet.a[\"c\"]", "aws_subnet.a[0]", "module.x[\"y\"].data.t.n"]);
        assert_eq!(addresses(br#"{"encrypted_data":"x"}"#), None);
    }
}
