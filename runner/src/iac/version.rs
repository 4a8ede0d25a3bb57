//! Versions and constraints as terraform and OpenTofu write them.

use std::fmt;

/// `1.10.3`, `1.12.0-rc1`. A pre-release is older than its release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) numbers: [u64; 3],
    pub(super) pre: Option<String>,
    /// How many numbers were written: "1.10" has 2.
    pub(super) written: usize,
}

impl Version {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let text = text.split('+').next()?;
        let (numbers_text, pre) = match text.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre.to_owned())),
            None => (text, None),
        };
        let mut numbers = [0; 3];
        let parts: Vec<&str> = numbers_text.split('.').collect();
        if parts.len() > 3 {
            return None;
        }
        for (slot, part) in numbers.iter_mut().zip(&parts) {
            *slot = part.parse().ok()?;
        }
        Some(Self { numbers, pre, written: parts.len() })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |version: &Version| version.pre.is_none();
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| rank(self).cmp(&rank(other)))
            .then_with(|| self.pre.cmp(&other.pre))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        self.pre.as_ref().map_or(Ok(()), |pre| write!(f, "-{pre}"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Equal,
    Not,
    More,
    AtLeast,
    Less,
    AtMost,
    Pessimistic,
    Prefix,
}

/// All of its parts must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Constraint {
    parts: Vec<(Compare, Version)>,
}

impl Constraint {
    /// `required_version`: `>= 1.5, < 2.0`, `~> 1.9`; a bare version is exactly that one.
    pub(super) fn required(text: &str) -> Option<Self> {
        Self::parse(text, Compare::Equal)
    }

    /// Our own `version=` and version files: a bare `1.10` is the newest 1.10.x, `=1.10.3` exactly that.
    pub(super) fn chosen(text: &str) -> Option<Self> {
        Self::parse(text, Compare::Prefix)
    }

    fn parse(text: &str, bare: Compare) -> Option<Self> {
        let parts = text.split(',').map(|part| {
            let part = part.trim();
            let operators = [
                ("~>", Compare::Pessimistic),
                (">=", Compare::AtLeast),
                ("<=", Compare::AtMost),
                ("!=", Compare::Not),
                (">", Compare::More),
                ("<", Compare::Less),
                ("=", Compare::Equal),
            ];
            let found = operators.iter().find_map(|(text, compare)| Some((*compare, part.strip_prefix(text)?)));
            let (compare, version) = found.unwrap_or((bare, part));
            Some((compare, Version::parse(version)?))
        });
        Some(Self { parts: parts.collect::<Option<_>>()? })
    }

    pub(super) fn holds(&self, version: &Version) -> bool {
        self.parts.iter().all(|(compare, wanted)| match compare {
            Compare::Equal => version == wanted || (version.numbers == wanted.numbers && version.pre == wanted.pre),
            Compare::Not => version.numbers != wanted.numbers || version.pre != wanted.pre,
            Compare::More => version > wanted,
            Compare::AtLeast => version >= wanted,
            Compare::Less => version < wanted,
            Compare::AtMost => version <= wanted,
            Compare::Prefix => {
                version.numbers[..wanted.written] == wanted.numbers[..wanted.written]
                    && (wanted.written < 3 || version.pre == wanted.pre)
            }
            Compare::Pessimistic => {
                let fixed = wanted.written.saturating_sub(1).max(1);
                version >= wanted && version.numbers[..fixed] == wanted.numbers[..fixed]
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).expect("a version")
    }

    #[test]
    fn constraints_hold_as_the_tools_mean_them() {
        let required = |text: &str| Constraint::required(text).expect("a constraint");
        let chosen = |text: &str| Constraint::chosen(text).expect("a constraint");
        for (constraint, yes, no) in [
            (required(">= 1.5, < 2.0"), "1.11.4", "2.0.0"),
            (required("~> 1.9"), "1.11.0", "2.0.0"),
            (required("~> 1.9.2"), "1.9.8", "1.10.0"),
            (required("1.9.2"), "1.9.2", "1.9.3"),
            (required("!= 1.9.2"), "1.9.3", "1.9.2"),
            (required("> 1.9"), "1.9.1", "1.9.0"),
            (required("<= 1.9"), "1.9.0", "1.9.1"),
            (chosen("1.10"), "1.10.7", "1.11.0"),
            (chosen("1"), "1.99.0", "2.0.0"),
            (chosen("=1.10.3"), "1.10.3", "1.10.4"),
            (chosen("1.10.3"), "1.10.3", "1.10.4"),
        ] {
            assert!(constraint.holds(&version(yes)), "{constraint:?} {yes}");
            assert!(!constraint.holds(&version(no)), "{constraint:?} {no}");
        }
        assert!(version("1.12.0-rc1") < version("1.12.0") && version("1.9.9") < version("1.10.0"));
        assert_eq!(Constraint::chosen("latest"), None);
    }
}
