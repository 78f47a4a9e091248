//! Epoch, version and release, compared as RPM compares them.

use std::cmp::Ordering;

/// An epoch, a version and perhaps a release.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evr {
    /// The epoch, 0 where none is told.
    pub epoch: u32,
    /// The version.
    pub version: Box<str>,
    /// The release; a dependency may leave it out and then fits every one.
    pub release: Option<Box<str>>,
}

impl Evr {
    /// Reads `[EPOCH:]VERSION[-RELEASE]`.
    pub fn parse(text: &str) -> Self {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
            None => (0, text),
        };
        let (version, release) = match rest.rsplit_once('-') {
            Some((version, release)) => (version, Some(release.into())),
            None => (rest, None),
        };
        Self { epoch, version: version.into(), release }
    }

    /// Compares as dependencies are judged: where either side has no release, releases do not count.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.epoch.cmp(&other.epoch).then_with(|| compare_versions(&self.version, &other.version)).then_with(|| match (
            &self.release,
            &other.release,
        ) {
            (Some(one), Some(two)) => compare_versions(one, two),
            _ => Ordering::Equal,
        })
    }
}

/// Compares two versions (or releases) by RPM's rules: runs of digits as numbers, runs of letters as text, digits
/// after letters; `~` before everything, even the end; `^` after the end but before anything else.
pub fn compare_versions(one: &str, two: &str) -> Ordering {
    let (mut one, mut two) = (one.as_bytes(), two.as_bytes());
    loop {
        one = skip_separators(one);
        two = skip_separators(two);
        match (one.first() == Some(&b'~'), two.first() == Some(&b'~')) {
            (true, true) => {
                (one, two) = (&one[1..], &two[1..]);
                continue;
            }
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        match (one.first() == Some(&b'^'), two.first() == Some(&b'^')) {
            (true, true) => {
                (one, two) = (&one[1..], &two[1..]);
                continue;
            }
            (true, false) if two.is_empty() => return Ordering::Greater,
            (false, true) if one.is_empty() => return Ordering::Less,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        if one.is_empty() || two.is_empty() {
            return one.len().cmp(&two.len());
        }
        let digits = one[0].is_ascii_digit();
        let same_kind = |byte: &u8| if digits { byte.is_ascii_digit() } else { byte.is_ascii_alphabetic() };
        let (part_one, rest_one) = one.split_at(one.iter().take_while(|byte| same_kind(byte)).count());
        let (part_two, rest_two) = two.split_at(two.iter().take_while(|byte| same_kind(byte)).count());
        if part_two.is_empty() {
            // Different kinds: numbers are newer than letters.
            return if digits { Ordering::Greater } else { Ordering::Less };
        }
        let order = if digits { compare_numbers(part_one, part_two) } else { part_one.cmp(part_two) };
        if order.is_ne() {
            return order;
        }
        (one, two) = (rest_one, rest_two);
    }
}

fn skip_separators(text: &[u8]) -> &[u8] {
    let is_separator = |byte: &u8| !byte.is_ascii_alphanumeric() && !matches!(byte, b'~' | b'^');
    &text[text.iter().take_while(|byte| is_separator(byte)).count()..]
}

fn compare_numbers(one: &[u8], two: &[u8]) -> Ordering {
    let trim = |digits: &[u8]| digits.iter().take_while(|digit| **digit == b'0').count();
    let (one, two) = (&one[trim(one)..], &two[trim(two)..]);
    one.len().cmp(&two.len()).then_with(|| one.cmp(two))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pairs as `rpm --eval '%{lua:print(rpm.vercmp(a, b))}'` judges them; `.ci/dnf-closure` asks it again.
    const KNOWN: &str = include_str!("../../testdata/distribution/versions.txt");

    #[test]
    fn known_pairs_compare_as_rpm_compares_them() {
        let mut count = 0;
        for line in KNOWN.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            let [one, sign, two] = words[..] else { panic!("{line}") };
            let expected = match sign {
                "<" => Ordering::Less,
                "=" => Ordering::Equal,
                ">" => Ordering::Greater,
                _ => panic!("{line}"),
            };
            assert_eq!(compare_versions(one, two), expected, "{line}");
            assert_eq!(compare_versions(two, one), expected.reverse(), "{line}");
            count += 1;
        }
        assert!(count > 60, "{count} pairs");
    }

    #[test]
    fn a_missing_release_fits_every_release() {
        let evr = Evr::parse;
        assert_eq!(evr("1:2.0-3"), Evr { epoch: 1, version: "2.0".into(), release: Some("3".into()) });
        assert_eq!(evr("2.0").compare(&evr("2.0-9")), Ordering::Equal);
        assert_eq!(evr("1:1.0").compare(&evr("9.0-9")), Ordering::Greater);
        assert_eq!(evr("0:1.0-2").compare(&evr("1.0-10")), Ordering::Less);
    }

    proptest! {
        #[test]
        fn comparison_is_reflexive_and_antisymmetric(one in "[0-9a-c.~^_]{0,12}", two in "[0-9a-c.~^_]{0,12}") {
            prop_assert_eq!(compare_versions(&one, &one), Ordering::Equal);
            prop_assert_eq!(compare_versions(&one, &two), compare_versions(&two, &one).reverse());
        }

        #[test]
        fn comparison_is_transitive_for_plain_versions(
            mut versions in prop::collection::vec("[0-9]{1,3}(\\.[0-9a-z]{1,3}){0,3}", 3)
        ) {
            versions.sort_by(|one, two| compare_versions(one, two));
            prop_assert_ne!(compare_versions(&versions[0], &versions[2]), Ordering::Greater);
        }

        #[test]
        fn any_text_compares_without_a_panic(one in ".{0,20}", two in ".{0,20}") {
            compare_versions(&one, &two);
            Evr::parse(&one).compare(&Evr::parse(&two));
        }
    }
}
