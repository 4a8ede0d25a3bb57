//! Owns matching a path against GitHub's templates. Pure.

use std::collections::BTreeMap;

/// Parameters that may hold slashes.
const LONG: [&str; 3] = ["{ref}", "{path}", "{branch}"];

/// The parameters when method and path fit `METHOD /template`.
pub(crate) fn params(key: &str, method: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let template = key.strip_prefix(method)?.strip_prefix(' ')?;
    let template: Vec<&str> = template.trim_start_matches('/').split('/').collect();
    let path: Vec<&str> = path.trim_matches('/').split('/').collect();
    let mut found = BTreeMap::new();
    fits(&template, &path, &mut found).then_some(found)
}

fn fits(template: &[&str], path: &[&str], found: &mut BTreeMap<String, String>) -> bool {
    let (Some(first), rest) = (template.first(), template.get(1..).unwrap_or_default()) else { return path.is_empty() };
    let Some(name) = first.strip_prefix('{').and_then(|name| name.strip_suffix('}')) else {
        return path.first() == Some(first) && fits(rest, &path[1..], found);
    };
    let longest = if LONG.contains(first) { path.len() } else { 1.min(path.len()) };
    for taken in 1..=longest {
        if path[0].is_empty() {
            break;
        }
        if fits(rest, &path[taken..], found) {
            found.insert(name.to_owned(), decoded(&path[..taken].join("/")));
            return true;
        }
    }
    false
}

/// Undoes percent-encoding; `None`-like bytes stay as they are.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code =
            code.and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::params;

    #[test]
    fn a_ref_may_hold_slashes_and_the_tail_still_counts() {
        let key = "GET /repos/{owner}/{repo}/commits/{ref}/check-runs";
        let found = params(key, "GET", "/repos/acme/infra/commits/feature/a%20b/check-runs").expect("it fits");
        assert_eq!(found["ref"], "feature/a b");
        assert!(params(key, "GET", "/repos/acme/infra/commits/feature").is_none());
        assert!(params(key, "POST", "/repos/acme/infra/commits/x/check-runs").is_none());
        assert!(params("GET /repos/{owner}/{repo}", "GET", "/repos/acme/infra/pulls").is_none());
    }
}
