//! Proofs of masking: every encoding, every split of a secret over chunks.

use proptest::prelude::*;

use super::*;

/// The same by the plainest means: mark every byte of every occurrence, then replace runs of overlapping ones.
fn oracle(needles: &BTreeSet<Vec<u8>>, text: &[u8]) -> Vec<u8> {
    let mut spans = Vec::new();
    for needle in needles {
        for start in 0..text.len() {
            if text[start..].starts_with(needle) {
                spans.push((start, start + needle.len()));
            }
        }
    }
    spans.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    let mut out = Vec::new();
    let mut at = 0;
    for (start, end) in merged {
        out.extend_from_slice(&text[at..start]);
        out.extend_from_slice(MASK.as_bytes());
        at = end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

fn needles(secrets: &[String]) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    secrets.iter().for_each(|secret| shapes(secret, &mut all));
    all.retain(|needle| needle.len() >= SHORTEST);
    all
}

proptest! {
    #[test]
    fn streams_mask_as_the_oracle_at_every_split(
        secrets in prop::collection::vec("[ab/ ]{3,7}", 1..4),
        text in "[ab/ %2F0]{0,60}",
        cuts in prop::collection::vec(0_usize..60, 0..6),
    ) {
        let masker = Masker::new(secrets.iter().map(String::as_str));
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= text.len()).collect();
        cuts.sort_unstable();
        let mut stream = masker.stream();
        let (mut out, mut at) = (Vec::new(), 0);
        for cut in cuts {
            out.extend(stream.push(&text.as_bytes()[at..cut]));
            at = cut;
        }
        out.extend(stream.push(&text.as_bytes()[at..]));
        out.extend(stream.finish());
        let expected = oracle(&needles(&secrets), text.as_bytes());
        prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected));
    }

    #[test]
    fn base64_of_anything_around_a_secret_hides_it(before in prop::collection::vec(any::<u8>(), 0..7), after in prop::collection::vec(any::<u8>(), 0..7)) {
        let secret = "correct horse";
        let mut bytes = before;
        bytes.extend_from_slice(secret.as_bytes());
        bytes.extend(after);
        let masker = Masker::new([secret]);
        for text in [base64::engine::general_purpose::STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            prop_assert!(masker.mask(&text).contains(MASK), "{}", text);
        }
    }
}

#[test]
fn every_shape_is_masked() {
    let secret = "p@ss/w'rd \"<x>&$y";
    let masker = Masker::new([secret]);
    for (name, text) in [
        ("raw", secret.to_owned()),
        ("hex", hex::encode(secret)),
        ("url", "p%40ss%2Fw%27rd%20%22%3Cx%3E%26%24y".to_owned()),
        ("form", "p%40ss%2fw%27rd+%22%3cx%3e%26%24y".to_owned()),
        ("json", serde_json::Value::from(secret).to_string()),
        ("go json", r#""p@ss/w'rd \"\u003cx\u003e\u0026$y""#.to_owned()),
        ("shell", r#"'p@ss/w'\''rd "<x>&$y'"#.to_owned()),
    ] {
        let masked = masker.mask(&format!("<{text}>"));
        assert!(masked.contains(MASK) && !masked.contains("ss/w") && !masked.contains("70407373"), "{name}: {masked}");
    }
}

#[test]
fn lines_of_a_key_are_masked_one_by_one() {
    let key = "-----BEGIN KEY-----\nMIIEabcdefgh\nxyz\nIJKLmnop\n-----END KEY-----\n";
    let masked = Masker::new([key]).mask("log: MIIEabcdefgh and IJKLmnop and xyz");
    assert_eq!(masked, "log: *** and *** and xyz");
}

#[test]
fn short_and_common_words_are_left_alone() {
    assert!(Masker::new(["abc", "true", "", "\n"]).is_empty());
    assert_eq!(Masker::new(["abc"]).mask("abc"), "abc");
}

#[test]
fn little_is_held_back() {
    let masker = Masker::new(["secretsecret"]);
    let mut stream = masker.stream();
    let given = stream.push(&vec![b'x'; 1000]);
    assert!(given.len() > 900, "{}", given.len());
    assert_eq!(given.len() + stream.finish().len(), 1000);
}
