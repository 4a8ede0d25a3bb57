//! Which variables of a repository's `env` may reach a job.
//!
//! Must never let through what changes which code runs, or how our own commands are meant.

use model::ports::IacError;

const PREFIXES: [&str; 8] = ["LD_", "DYLD_", "GIT_", "TF_CLI_ARGS", "TF_CLI_CONFIG", "BASH_FUNC_", "BUILDIT_", "SSH_"];
const NAMES: [&str; 35] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "SHELL",
    "ENV",
    "BASH_ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "IFS",
    "PS4",
    "PROMPT_COMMAND",
    "CDPATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PERL5LIB",
    "PERL5OPT",
    "PERL5DB",
    "RUBYLIB",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "GCONV_PATH",
    "TF_WORKSPACE",
    "TF_DATA_DIR",
    "TF_INPUT",
    "TF_IN_AUTOMATION",
    "TF_PLUGIN_CACHE_DIR",
    "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE",
    "TF_REATTACH_PROVIDERS",
    "TF_TEMP_LOG_PATH",
    "TF_LOG_PATH",
    "TF_FORCE_LOCAL_BACKEND",
    "CHECKPOINT_DISABLE",
];

/// Refuses a name that must not come from a repository.
pub(super) fn check(stack: &str, name: &str) -> Result<(), IacError> {
    let valid = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return Err(refused(stack, name, "is not the name of an environment variable"));
    }
    let upper = name.to_ascii_uppercase();
    if PREFIXES.iter().any(|prefix| upper.starts_with(prefix)) || NAMES.contains(&upper.as_str()) {
        return Err(refused(stack, name, "may not be set by a repository: it changes which code runs"));
    }
    Ok(())
}

fn refused(stack: &str, name: &str, why: &str) -> IacError {
    IacError::Refused { message: format!("stack {stack}: env {name:?} {why}; remove it") }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_changes_code_is_refused() {
        for name in [
            "LD_PRELOAD",
            "TF_CLI_ARGS",
            "TF_CLI_ARGS_plan",
            "tf_cli_args_plan",
            "BASH_ENV",
            "PATH",
            "GIT_SSH_COMMAND",
            "TF_CLI_CONFIG_FILE",
            "TF_REATTACH_PROVIDERS",
            "A=B",
            "",
            "1A",
        ] {
            assert!(check("s", name).is_err(), "{name}");
        }
        for name in ["AWS_REGION", "TF_VAR_x", "TF_LOG", "GOOGLE_PROJECT"] {
            assert!(check("s", name).is_ok(), "{name}");
        }
        insta::assert_snapshot!(
            check("net", "LD_PRELOAD").expect_err("refused"),
            @r#"stack net: env "LD_PRELOAD" may not be set by a repository: it changes which code runs; remove it"#
        );
    }
}
