//! Padding (BEP 47) over HTTP. A pad is zeros by rule and no file of the tree, but stock clients that use a web seed
//! (aria2, transmission) ask for it like for any other file, and transmission stays with a pad it cannot get for ever.
//!
//! Invariant: a pad is shorter than the longest piece we publish, and all of them share one buffer.

use crate::net::http::{ByteRange, Request, Response};
use bytes::Bytes;
use std::sync::LazyLock;

/// The longest piece that we publish; a pad is shorter.
const PIECE_BYTES_MAX: u64 = 1024 * 1024;

static ZEROS: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![0; PIECE_BYTES_MAX as usize]));

/// The length of the pad that this path of a tree names (`.pad/LENGTH`), if it names one.
pub(super) fn length_bytes(path: &str) -> Option<u64> {
    let digits = path.strip_prefix(".pad/")?;
    let length = digits.parse().ok().filter(|length| (1..PIECE_BYTES_MAX).contains(length))?;
    // Only as it stands in a metainfo: no sign, no leading zero.
    (digits == length.to_string()).then_some(length)
}

/// Answers a `GET` or `HEAD` of a pad.
pub(super) fn answer(request: &Request, length_bytes: u64) -> Response {
    let zeros = |count: u64| ZEROS.slice(..count as usize);
    let octets = "application/octet-stream";
    let response = match ByteRange::parse(request.head.headers.get("range"), length_bytes) {
        ByteRange::Whole => Response::new(200, octets, zeros(length_bytes)),
        ByteRange::Part(part) => Response::new(206, octets, zeros(part.end - part.start))
            .with("Content-Range", format!("bytes {}-{}/{length_bytes}", part.start, part.end - 1)),
        ByteRange::Unsatisfiable => Response::text(416, "the pad does not have these bytes")
            .with("Content-Range", format!("bytes */{length_bytes}")),
    };
    response.with("Accept-Ranges", "bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_metainfo_of_ours_names_is_a_pad() {
        assert_eq!(length_bytes(".pad/1"), Some(1));
        assert_eq!(length_bytes(".pad/1048575"), Some(1_048_575));
        for path in [".pad/1048576", ".pad/0", ".pad/01", ".pad/+1", ".pad/-1", ".pad/", ".pad/1/2", "a/.pad/1", ".pad"]
        {
            assert_eq!(length_bytes(path), None, "{path}");
        }
        assert_eq!(length_bytes(".pad/99999999999999999999"), None);
    }
}
