//! Which part of a file a request wants (RFC 9110, section 14).

use std::ops::Range;

/// The part of a file that a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByteRange {
    /// All of it: no range, or one that may be ignored (several ranges, another unit, bad syntax).
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that the file does not have: 416.
    Unsatisfiable,
}

impl ByteRange {
    /// Reads the value of a `Range` field for a file of this length.
    pub fn parse<'a>(value: Option<&'a str>, length_bytes: u64) -> Self {
        let of_bytes = |value: &'a str| {
            let (unit, range) = value.trim().split_once('=')?;
            unit.eq_ignore_ascii_case("bytes").then_some(range)?.split_once('-')
        };
        let Some((first, last)) = value.and_then(of_bytes) else {
            return Self::Whole;
        };
        // A number that is too large for us is larger than every file.
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
        };
        match (number(first.trim()), number(last.trim()), first.trim().is_empty(), last.trim().is_empty()) {
            (None, Some(0), true, _) => Self::Unsatisfiable,
            (None, Some(suffix), true, _) if length_bytes > 0 => {
                Self::Part(length_bytes - suffix.min(length_bytes)..length_bytes)
            }
            (Some(first), Some(last), _, _) if first > last => Self::Whole,
            (Some(first), _, _, _) if first >= length_bytes => Self::Unsatisfiable,
            (Some(first), Some(last), _, _) => Self::Part(first..last.saturating_add(1).min(length_bytes)),
            (Some(first), None, _, true) => Self::Part(first..length_bytes),
            (None, Some(_), true, _) => Self::Unsatisfiable,
            _ => Self::Whole,
        }
    }
}

/// Reads `Content-Range: bytes 0-9/100`: the bytes and the whole length.
pub fn content_range(value: &str) -> Option<(Range<u64>, u64)> {
    let (range, length) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, length): (u64, u64, u64) = (first.parse().ok()?, last.parse().ok()?, length.parse().ok()?);
    (first <= last && last < length).then(|| (first..last + 1, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        use ByteRange::{Part, Unsatisfiable, Whole};
        for (value, expected) in [
            ("bytes=0-9", Part(0..10)),
            ("bytes=90-", Part(90..100)),
            ("bytes=-10", Part(90..100)),
            ("bytes=-1000", Part(0..100)),
            ("bytes=50-1000", Part(50..100)),
            ("bytes=100-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=9-0", Whole),
            ("bytes=0-1,5-6", Whole),
            ("lines=1-2", Whole),
            ("bytes=a-b", Whole),
            ("bytes=-", Whole),
            ("bytes=0-99999999999999999999", Part(0..100)),
            ("bytes=99999999999999999999-", Unsatisfiable),
            ("bytes=-99999999999999999999", Part(0..100)),
            ("Bytes=0-9", Part(0..10)),
            ("bytes=+1-9", Whole),
            ("bytes", Whole),
        ] {
            assert_eq!(ByteRange::parse(Some(value), 100), expected, "{value}");
        }
        assert_eq!(ByteRange::parse(None, 100), Whole);
        assert_eq!(ByteRange::parse(Some("bytes=-5"), 0), Unsatisfiable);
        assert_eq!(content_range("bytes 0-9/100"), Some((0..10, 100)));
        assert_eq!(content_range("bytes 9-0/100"), None);
        assert_eq!(content_range("bytes */100"), None);
    }

    proptest! {
        #[test]
        fn a_part_is_what_was_asked_for_of_what_there_is(first in 0..300_u64, last in 0..300_u64, length in 0..300_u64) {
            let parse = |value: String| ByteRange::parse(Some(&value), length);
            let those = |wanted: &dyn Fn(u64) -> bool| {
                let those: Vec<u64> = (0..length).filter(|at| wanted(*at)).collect();
                those.first().map_or(ByteRange::Unsatisfiable, |start| ByteRange::Part(*start..start + those.len() as u64))
            };
            prop_assert_eq!(parse(format!("bytes={first}-")), those(&|at| at >= first));
            prop_assert_eq!(parse(format!("bytes=-{last}")), those(&|at| at + last >= length));
            let both = if first > last { ByteRange::Whole } else { those(&|at| (first..=last).contains(&at)) };
            prop_assert_eq!(parse(format!("bytes={first}-{last}")), both);
        }

        #[test]
        fn any_words_are_a_part_of_the_file_or_none(value in "(bytes *=)?[ -~]{0,20}", told in "(bytes )?[0-9*/ -]{0,20}", length: u64) {
            if let ByteRange::Part(part) = ByteRange::parse(Some(&value), length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
            if let Some((part, whole)) = content_range(&told) {
                prop_assert!(part.start < part.end && part.end <= whole);
                let again = format!("bytes {}-{}/{whole}", part.start, part.end - 1);
                prop_assert_eq!(content_range(&again), Some((part, whole)));
            }
        }
    }
}
