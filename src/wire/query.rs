//! The query of an announce or scrape: percent-encoded pairs, whose values may be any bytes.

/// Any byte that is not one of these stands as `%XX` in what we write.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Writes bytes percent-encoded.
pub(super) fn put_encoded(out: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for &byte in bytes {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// The pairs of a query, still encoded; a word without `=` has an empty value.
pub(super) fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        (&pair[..at], pair.get(at + 1..).unwrap_or_default())
    })
}

/// Decodes a value into a buffer. None where it does not fit or a `%` is not followed by two digits.
pub(super) fn decode<'b>(encoded: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let (mut from, mut to) = (0, 0);
    while let Some(&byte) = encoded.get(from) {
        let (value, taken) = match byte {
            b'%' => (hex(*encoded.get(from + 1)?)? << 4 | hex(*encoded.get(from + 2)?)?, 3),
            b'+' => (b' ', 1),
            _ => (byte, 1),
        };
        *buffer.get_mut(to)? = value;
        (from, to) = (from + taken, to + 1);
    }
    Some(&buffer[..to])
}

/// Decodes a value of exactly twenty bytes.
pub(super) fn twenty(encoded: &[u8]) -> Option<[u8; 20]> {
    let mut bytes = [0; 20];
    (decode(encoded, &mut bytes)?.len() == 20).then_some(bytes)
}

/// Reads a decimal number.
pub(super) fn number<T: std::str::FromStr>(encoded: &[u8]) -> Option<T> {
    let digits = encoded.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(encoded).ok().filter(|_| digits)?.parse().ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn malformed_values_are_refused() {
        for encoded in ["%", "%4", "%4g", "%%41"] {
            assert_eq!(decode(encoded.as_bytes(), &mut [0; 9]), None, "{encoded}");
        }
        assert_eq!(decode(b"abc", &mut [0; 2]), None);
        assert_eq!((number::<u16>(b"65535"), number::<u16>(b"65536"), number::<u16>(b"+1")), (Some(65535), None, None));
        assert_eq!(
            pairs(b"a=1&&b&=x&c==").collect::<Vec<_>>(),
            [(&b"a"[..], &b"1"[..]), (b"b", b""), (b"", b"x"), (b"c", b"=")]
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: [u8; 20]) {
            let mut text = String::new();
            put_encoded(&mut text, &bytes);
            prop_assert_eq!(twenty(text.as_bytes()), Some(bytes));
        }
    }
}
