//! Which variables of the person's environment the tool sees in a preview.
//!
//! On a server a plan gets what the operator gave it. A preview has a person instead: their credentials pass,
//! named here by their first letters, and nothing else of their environment does.

/// Variables by their whole name.
const NAMES: [&str; 13] = [
    "HOME",
    "USER",
    "LOGNAME",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "KUBECONFIG",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "GIT_SSH_COMMAND",
    "GIT_ASKPASS",
    "TF_ENCRYPTION",
    "TF_REGISTRY_CLIENT_TIMEOUT",
    "TF_REGISTRY_DISCOVERY_RETRY",
];

/// Variables by how their name begins: the tools' own, the backends' and the providers'.
const PREFIXES: [&str; 36] = [
    "TF_VAR_",
    "TF_TOKEN_",
    "TF_HTTP_",
    "AWS_",
    "ARM_",
    "AZURE_",
    "GOOGLE_",
    "GCLOUD_",
    "CLOUDSDK_",
    "ALICLOUD_",
    "OCI_",
    "OS_",
    "IBMCLOUD_",
    "CLOUDFLARE_",
    "DIGITALOCEAN_",
    "SPACES_",
    "HCLOUD_",
    "LINODE_",
    "SCW_",
    "OVH_",
    "FLY_",
    "HEROKU_",
    "VAULT_",
    "CONSUL_",
    "NOMAD_",
    "KUBE_",
    "HELM_",
    "GITHUB_",
    "GITLAB_",
    "DD_",
    "DATADOG_",
    "NEW_RELIC_",
    "PAGERDUTY_",
    "GRAFANA_",
    "SENTRY_",
    "PG",
];

/// Those of `names` that pass, and `more` that the person named.
pub(super) fn passing(names: impl IntoIterator<Item = String>, more: &[String]) -> Vec<String> {
    let known = |name: &str| NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let mut all: Vec<String> = names.into_iter().filter(|name| known(name) || more.contains(name)).collect();
    all.sort();
    all
}

/// Is the value of that variable a secret by its name? Then no log and no error shows it.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["SECRET", "TOKEN", "PASSWORD", "PASSPHRASE", "API_KEY", "ACCESS_KEY", "PRIVATE_KEY", "PGPASS"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_names_each() {
        let text = include_str!("../../../../docs/preview.md");
        for name in NAMES.iter().chain(&PREFIXES) {
            assert!(text.contains(&format!("`{name}`")), "{name} is not in docs/preview.md");
        }
    }

    #[test]
    fn names_tell_secrets() {
        for name in ["AWS_SECRET_ACCESS_KEY", "TF_TOKEN_app_terraform_io", "TF_VAR_db_password", "PGPASSWORD"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["AWS_REGION", "HOME", "TF_VAR_region"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn credentials_pass_and_what_changes_the_plan_does_not() {
        let names =
            ["AWS_PROFILE", "TF_VAR_region", "TF_CLI_ARGS_plan", "TF_WORKSPACE", "LD_PRELOAD", "HOME", "MY_TOKEN"];
        let passing = |more: &[String]| passing(names.map(str::to_owned), more).join(" ");
        assert_eq!(passing(&[]), "AWS_PROFILE HOME TF_VAR_region");
        assert_eq!(passing(&["MY_TOKEN".to_owned(), "ABSENT".to_owned()]), "AWS_PROFILE HOME MY_TOKEN TF_VAR_region");
    }
}
