//! The sample repository of the demo: its files on `main` and what each branch changes.
//!
//! Only `terraform_data`, which is built into both tools: nothing is downloaded and nothing real is made.

/// The repository, `owner/name`.
pub(super) const REPOSITORY: &str = "acme/shop";

/// A path from the repository's root, and the content.
pub(super) type File = (&'static str, &'static str);

/// `main`: two stacks and their modules.
pub(super) const MAIN: [File; 6] = [
    (".buildit/stacks.kdl", include_str!("shop/main/.buildit/stacks.kdl")),
    ("README.md", include_str!("shop/main/README.md")),
    ("infra/network/main.tf", include_str!("shop/main/infra/network/main.tf")),
    ("infra/dns/main.tf", include_str!("shop/main/infra/dns/main.tf")),
    ("modules/subnet/main.tf", include_str!("shop/main/modules/subnet/main.tf")),
    ("modules/record/main.tf", include_str!("shop/main/modules/record/main.tf")),
];

/// Ana's branch: a new stack and a subnet for it.
pub(super) const CACHE: [File; 2] = [
    ("infra/network/main.tf", include_str!("shop/cache/infra/network/main.tf")),
    ("infra/cache/main.tf", include_str!("shop/cache/infra/cache/main.tf")),
];

/// Ana's second push: one resource of the cache changes, the network does not.
pub(super) const OWNER: [File; 1] = [("infra/cache/main.tf", include_str!("shop/owner/infra/cache/main.tf"))];

/// Ben's branch: one more name.
pub(super) const NAME: [File; 1] = [("infra/dns/main.tf", include_str!("shop/name/infra/dns/main.tf"))];

/// Ben's other branch: a slip of the pen that only a plan finds.
pub(super) const MAIL: [File; 1] = [(MAIL_FILE, include_str!("shop/mail/infra/dns/mail.tf"))];

/// Where the slip is.
pub(super) const MAIL_FILE: &str = "infra/dns/mail.tf";

/// The line of the slip in `MAIL_FILE`, from 1, with what stands there and what should.
pub(super) const SLIP: (u32, &str, &str) = (10, "local.mial", "local.mail");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slip_is_where_the_demo_says() {
        let (line, wrong, right) = SLIP;
        let text = MAIL[0].1.lines().nth(line as usize - 1).expect("the line is there");
        assert!(text.contains(wrong) && !text.contains(right), "{text}");
        assert!(MAIL[0].1.contains("mail = "), "what it should name is declared");
    }

    #[test]
    fn branches_change_what_they_are_for() {
        let on_main = |path: &str| MAIN.iter().find(|(known, _)| *known == path).map(|(_, text)| *text);
        assert_eq!(on_main("infra/cache/main.tf"), None, "the cache is a new stack");
        let network = on_main("infra/network/main.tf").expect("there");
        assert!(!network.contains("10.0.3.0/24") && CACHE[0].1.contains("10.0.3.0/24"));
        let added: Vec<&str> = OWNER[0].1.lines().filter(|line| !CACHE[1].1.contains(line)).collect();
        assert_eq!(added.len(), 1, "one line: {added:?}");
    }
}
