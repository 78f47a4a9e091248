//! Bencode (BEP 3): a span scanner that looks first, and serde_bencode behind it.
//!
//! Invariant: nothing that is nested deeper than the caller allows, that is cut off, or that is not canonical enough
//! to be understood in one way only, reaches serde_bencode, which recurses without a limit.

use serde::de::DeserializeOwned;

/// How deep values of a metainfo or a message may be nested. Version 1 metainfo needs 5; `file tree` of a hybrid has
/// a level for each folder.
pub const DEPTH_MAX: usize = 64;

/// Why bytes are not bencode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BencodeError {
    /// The value goes on behind the end of the bytes.
    #[error("bencode ends in the middle of a value")]
    CutOff,
    /// A byte that cannot stand here.
    #[error("unexpected byte 0x{byte:02x} at offset {offset} of bencode")]
    Unexpected {
        /// The byte.
        byte: u8,
        /// Where it stands.
        offset: usize,
    },
    /// An integer with leading zeros, without digits, or beyond 64 bits.
    #[error("malformed integer at offset {offset} of bencode")]
    Integer {
        /// Where it begins.
        offset: usize,
    },
    /// Lists and dictionaries are nested too deep.
    #[error("bencode is nested deeper than {limit} levels at offset {offset}")]
    TooDeep {
        /// Where the limit is passed.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// The same key twice.
    #[error("key '{key}' stands twice in one dictionary of bencode")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A value is followed by something else.
    #[error("{count} bytes follow the end of bencode")]
    Trailing {
        /// How many bytes follow.
        count: usize,
    },
    /// The value is of another kind than its place asks for.
    #[error("expected {expected} in bencode")]
    Kind {
        /// What was expected ("a dictionary").
        expected: &'static str,
    },
    /// Well-formed, but not what is expected here.
    #[error("{0}")]
    Shape(String),
}

/// The length in bytes of the first value; it may be followed by anything.
pub fn scan(bytes: &[u8], depth_max: usize) -> Result<usize, BencodeError> {
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    loop {
        let start = at;
        let byte = *bytes.get(at).ok_or(BencodeError::CutOff)?;
        let key_expected = matches!(open.last(), Some(Open::Dictionary { key_next: true, .. }));
        match byte {
            b'0'..=b'9' => {
                let (content, end) = string_at(bytes, at)?;
                at = end;
                if let Some(Open::Dictionary { key_next: true, last_key, .. }) = open.last_mut() {
                    let key = &bytes[content..end];
                    if last_key.is_some_and(|(from, to)| bytes[from..to] == *key) {
                        return Err(BencodeError::DuplicateKey { key: String::from_utf8_lossy(key).into_owned() });
                    }
                    *last_key = Some((content, end));
                }
            }
            b'i' if !key_expected => at = integer_at(bytes, at)?.1,
            b'l' | b'd' if !key_expected => {
                if open.len() == depth_max {
                    return Err(BencodeError::TooDeep { offset: start, limit: depth_max });
                }
                at += 1;
                open.push(match byte {
                    b'l' => Open::List,
                    _ => Open::Dictionary { key_next: true, last_key: None },
                });
                continue;
            }
            b'e' if matches!(open.last(), Some(Open::List | Open::Dictionary { key_next: true, .. })) => {
                at += 1;
                open.pop();
            }
            _ => return Err(BencodeError::Unexpected { byte, offset: start }),
        }
        // A whole value, or a dictionary's key, ends at `at`.
        match open.last_mut() {
            None => return Ok(at),
            Some(Open::Dictionary { key_next, .. }) => *key_next = !*key_next,
            Some(Open::List) => {}
        }
    }
}

enum Open {
    List,
    Dictionary { key_next: bool, last_key: Option<(usize, usize)> },
}

/// One entry of a dictionary: its key and the raw bytes of its value.
pub type Entry<'a> = (&'a [u8], &'a [u8]);

/// The entries of the dictionary that these bytes are, in their order, with the raw bytes of each value.
pub fn entries(bytes: &[u8], depth_max: usize) -> Result<Vec<Entry<'_>>, BencodeError> {
    if bytes.first() != Some(&b'd') {
        return Err(BencodeError::Kind { expected: "a dictionary" });
    }
    whole(bytes, depth_max)?;
    let mut entries = Vec::new();
    let mut at = 1;
    while bytes[at] != b'e' {
        let (content, end) = string_at(bytes, at)?;
        let length = scan(&bytes[end..], depth_max)?;
        entries.push((&bytes[content..end], &bytes[end..end + length]));
        at = end + length;
    }
    Ok(entries)
}

/// Reads one whole value into a type, through serde_bencode, after the scanner has looked.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8], depth_max: usize) -> Result<T, BencodeError> {
    whole(bytes, depth_max)?;
    serde_bencode::from_bytes(bytes).map_err(|error| BencodeError::Shape(error.to_string()))
}

/// Reads a value that is a byte string, without copying it.
pub fn byte_string(bytes: &[u8]) -> Result<&[u8], BencodeError> {
    if !bytes.first().is_some_and(u8::is_ascii_digit) {
        return Err(BencodeError::Kind { expected: "a byte string" });
    }
    let (content, end) = string_at(bytes, 0)?;
    if end < bytes.len() {
        return Err(BencodeError::Trailing { count: bytes.len() - end });
    }
    Ok(&bytes[content..end])
}

/// Reads a value that is an integer.
pub fn integer(bytes: &[u8]) -> Result<i64, BencodeError> {
    if bytes.first() != Some(&b'i') {
        return Err(BencodeError::Kind { expected: "an integer" });
    }
    let (value, end) = integer_at(bytes, 0)?;
    if end < bytes.len() {
        return Err(BencodeError::Trailing { count: bytes.len() - end });
    }
    Ok(value)
}

/// The raw bytes of each value of the list that these bytes are.
pub fn items(bytes: &[u8], depth_max: usize) -> Result<Vec<&[u8]>, BencodeError> {
    if bytes.first() != Some(&b'l') {
        return Err(BencodeError::Kind { expected: "a list" });
    }
    whole(bytes, depth_max)?;
    let mut items = Vec::new();
    let mut at = 1;
    while bytes[at] != b'e' {
        let length = scan(&bytes[at..], depth_max)?;
        items.push(&bytes[at..at + length]);
        at += length;
    }
    Ok(items)
}

/// Writes a byte string.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_decimal(out, bytes.len() as u64);
    out.push(b':');
    out.extend_from_slice(bytes);
}

/// Writes an integer.
pub fn put_integer(out: &mut Vec<u8>, value: i64) {
    out.push(b'i');
    if value < 0 {
        out.push(b'-');
    }
    put_decimal(out, value.unsigned_abs());
    out.push(b'e');
}

fn put_decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn whole(bytes: &[u8], depth_max: usize) -> Result<(), BencodeError> {
    match bytes.len() - scan(bytes, depth_max)? {
        0 => Ok(()),
        count => Err(BencodeError::Trailing { count }),
    }
}

/// Where the content of the string that begins at `at` begins and ends.
fn string_at(bytes: &[u8], at: usize) -> Result<(usize, usize), BencodeError> {
    let mut length = 0_usize;
    let mut colon = at;
    loop {
        match bytes.get(colon) {
            None => return Err(BencodeError::CutOff),
            Some(b':') if colon > at => break,
            Some(digit @ b'0'..=b'9') => {
                if colon > at && bytes[at] == b'0' {
                    return Err(BencodeError::Integer { offset: at });
                }
                length = length
                    .checked_mul(10)
                    .and_then(|length| length.checked_add(usize::from(digit - b'0')))
                    .ok_or(BencodeError::Integer { offset: at })?;
            }
            Some(&byte) => return Err(BencodeError::Unexpected { byte, offset: colon }),
        }
        colon += 1;
    }
    let content = colon + 1;
    match content.checked_add(length) {
        Some(end) if end <= bytes.len() => Ok((content, end)),
        _ => Err(BencodeError::CutOff),
    }
}

/// The value of the integer that begins at `at`, and where it ends.
fn integer_at(bytes: &[u8], at: usize) -> Result<(i64, usize), BencodeError> {
    // The longest is `-9223372036854775808`: 20 characters.
    let window = &bytes[at + 1..bytes.len().min(at + 22)];
    let Some(length) = window.iter().position(|&byte| byte == b'e') else {
        let short = bytes.len() < at + 22 && window.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
        return Err(if short { BencodeError::CutOff } else { BencodeError::Integer { offset: at } });
    };
    let text = &window[..length];
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => digits.len() == text.len(),
        [first, ..] => *first != b'0' && digits.iter().all(u8::is_ascii_digit),
        [] => false,
    };
    std::str::from_utf8(text)
        .ok()
        .filter(|_| canonical)
        .and_then(|text| text.parse().ok())
        .map(|value| (value, at + 1 + length + 1))
        .ok_or(BencodeError::Integer { offset: at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn malformed_values_are_refused() {
        for text in [
            "",
            "i",
            "i1",
            "ie",
            "i-e",
            "i-0e",
            "i01e",
            "i1x",
            "i9223372036854775808e",
            "1",
            "1:",
            "01:a",
            "2:a",
            "l",
            "li1e",
            "d",
            "di1e1:ae",
            "d1:ae",
            "d1:ai1e1:ai2ee",
            "x",
            "e",
            "99999999999999999999999:a",
            "i+1e",
            "-1:a",
        ] {
            assert!(scan(text.as_bytes(), DEPTH_MAX).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_is_limited_without_recursion() {
        let deep = vec![b'l'; 2_000_000];
        assert_eq!(scan(&deep, 64), Err(BencodeError::TooDeep { offset: 64, limit: 64 }));
        let mut fits = vec![b'l'; 64];
        fits.resize(128, b'e');
        assert_eq!(scan(&fits, 64), Ok(128));
        assert!(scan(&fits, 63).is_err());
    }

    #[test]
    fn raw_spans_of_a_dictionary() {
        let bytes = b"d4:infod3:keyi7ee1:zli1ei2eee";
        let found = entries(bytes, 8).expect("well-formed");
        assert_eq!(found, [(&b"info"[..], &b"d3:keyi7ee"[..]), (b"z", b"li1ei2ee")]);
        assert_eq!(items(found[1].1, 8), Ok(vec![&b"i1e"[..], b"i2e"]));
        assert_eq!(entries(b"d1:ai1eex", 8), Err(BencodeError::Trailing { count: 1 }));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = scan(&bytes, 8);
            let _ = entries(&bytes, 8);
            let _ = items(&bytes, 8);
            let _ = integer(&bytes);
            let _ = byte_string(&bytes);
        }

        #[test]
        fn bencode_like_bytes_never_panic(text in "[ildei0-9:a-]{0,40}") {
            if let Ok(length) = scan(text.as_bytes(), 8) {
                prop_assert!(length <= text.len());
                // What the scanner lets through, serde_bencode can read or refuse, and both see the same end.
                let _: Result<serde_bencode::value::Value, _> = from_bytes(&text.as_bytes()[..length], 8);
            }
        }

        #[test]
        fn what_is_written_is_read(value: i64, bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut out = Vec::new();
            put_integer(&mut out, value);
            prop_assert_eq!(integer(&out), Ok(value));
            out.clear();
            put_bytes(&mut out, &bytes);
            prop_assert_eq!(byte_string(&out), Ok(&bytes[..]));
        }
    }
}
