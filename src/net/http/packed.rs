//! Documents that leave packed (gzip, RFC 9110 8.4.1) where the client takes that: what a thousand machines ask for in
//! one second is a good part of what the frontend's link carries before the first package.

use super::head::Headers;
use super::response::{Body, Response, Segment};
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::hash::{DefaultHasher, Hasher};
use std::io::{Read, Write};
use std::sync::OnceLock;

/// A shorter body leaves as it is.
const PACKED_BYTES_MIN: usize = 512;
/// The word for it in `Accept-Encoding` and `Content-Encoding`.
pub(super) const GZIP: &str = "gzip";

impl Response {
    /// The same answer, packed where its body is worth it and the client takes it.
    pub fn packed_for(mut self, headers: &Headers) -> Self {
        let Body::Whole(Segment::Bytes(body)) = &self.body else { return self };
        let is_packed = self.headers.iter().any(|(name, _)| *name == "Content-Encoding");
        if self.status != 200 || is_packed || !takes_gzip(headers) {
            return self;
        }
        let Some(packed) = packed(body) else { return self };
        self.body = Body::Whole(Segment::Bytes(packed));
        self.of_gzip()
    }

    fn of_gzip(self) -> Self {
        self.with("Content-Encoding", GZIP).with("Vary", "Accept-Encoding")
    }
}

/// A document that many ask for: it is packed once for all who take it so.
#[derive(Debug)]
pub struct Document {
    plain: Bytes,
    packed: OnceLock<Option<Bytes>>,
    /// Its `ETag`, where it has one: a weak one (RFC 9110, section 8.8.3), since packed it is the same document.
    tag: Option<String>,
}

impl Document {
    /// A document of these bytes.
    pub fn new(plain: impl Into<Bytes>) -> Self {
        Self { plain: plain.into(), packed: OnceLock::new(), tag: None }
    }

    /// The same with an `ETag`, so that whoever has it asks for it again in vain.
    pub fn tagged(plain: impl Into<Bytes>) -> Self {
        let document = Self::new(plain);
        let mut hasher = DefaultHasher::new();
        hasher.write(&document.plain);
        Self { tag: Some(format!("W/\"{:016x}\"", hasher.finish())), ..document }
    }

    /// How long it is as most clients take it: packed, where that is worth it.
    pub fn packed_bytes(&self) -> usize {
        self.packed().unwrap_or(&self.plain).len()
    }

    fn packed(&self) -> Option<&Bytes> {
        self.packed.get_or_init(|| packed(&self.plain)).as_ref()
    }

    /// The answer to a client that sent these fields.
    pub fn answer(&self, content_type: &str, headers: &Headers) -> Response {
        let response = if self.tag.as_deref().is_some_and(|tag| headers.names_tag(tag) == Some(true)) {
            Response::with_body(304, Body::Whole(Segment::Bytes(Bytes::new())))
        } else {
            match takes_gzip(headers).then(|| self.packed()).flatten() {
                Some(packed) => Response::new(200, content_type, packed.clone()).of_gzip(),
                None => Response::new(200, content_type, self.plain.clone()),
            }
        };
        match &self.tag {
            Some(tag) => response.with("ETag", tag.clone()),
            None => response,
        }
    }
}

/// The same bytes packed, where that is worth it.
fn packed(body: &[u8]) -> Option<Bytes> {
    if body.len() < PACKED_BYTES_MIN {
        return None;
    }
    let mut packed = GzEncoder::new(Vec::with_capacity(body.len() / 3), Compression::fast());
    packed.write_all(body).and_then(|()| packed.finish()).ok().map(Bytes::from)
}

/// Whether a client says that it takes gzip. One that names a weight is taken to mean it, unless the weight is nought.
fn takes_gzip(headers: &Headers) -> bool {
    let codings = headers.get("accept-encoding").unwrap_or_default().split(',');
    codings.map(|coding| coding.split_once(';').unwrap_or((coding, ""))).any(|(name, weight)| {
        let weight = weight.trim().strip_prefix("q=").map(|weight| weight.trim().parse::<f32>());
        name.trim().eq_ignore_ascii_case(GZIP) && !matches!(weight, Some(Ok(0.0) | Err(_)))
    })
}

/// The bytes that were packed; none where they are no gzip or would be longer than this.
pub(super) fn unpacked(packed: &[u8], bytes_max: u64) -> Option<Bytes> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).take(bytes_max + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= bytes_max).then(|| bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::RequestHead;
    use proptest::prelude::*;

    fn asked(accept: &str) -> Headers {
        let text = format!("GET / HTTP/1.1\r\nHost: f\r\nAccept-Encoding: {accept}\r\n\r\n");
        RequestHead::decode(text.as_bytes()).expect("a head").expect("whole").0.headers
    }

    fn body(response: &Response) -> &[u8] {
        match &response.body {
            Body::Whole(Segment::Bytes(bytes)) => bytes,
            _ => panic!("no bytes"),
        }
    }

    #[test]
    fn what_is_packed_is_the_same_after_it_and_shorter() {
        let text = "the same line again and again\n".repeat(100);
        let packed = Response::new(200, "text/xml", text.clone()).packed_for(&asked("deflate, gzip;q=0.5"));
        assert!(packed.headers.contains(&("Content-Encoding", "gzip".to_owned())));
        assert!(body(&packed).len() < text.len() / 10, "{}", body(&packed).len());
        assert_eq!(unpacked(body(&packed), text.len() as u64).as_deref(), Some(text.as_bytes()));
        assert_eq!(unpacked(body(&packed), text.len() as u64 - 1), None, "no bombs");
        assert_eq!(unpacked(&body(&packed)[..40], 1 << 20), None, "cut off");
        assert_eq!(unpacked(b"no gzip at all", 1 << 20), None);
    }

    #[test]
    fn a_document_is_packed_once_for_all_who_take_it_so() {
        let text = "the same line again and again\n".repeat(100);
        let document = Document::new(text.clone());
        assert_eq!(body(&document.answer("text/xml", &asked("identity"))), text.as_bytes());
        assert!(document.packed.get().is_none(), "nobody wants it packed yet");
        let answers = [(); 2].map(|()| document.answer("text/xml", &asked("gzip")).packed_for(&asked("gzip")));
        for answer in &answers {
            assert_eq!(unpacked(body(answer), text.len() as u64).as_deref(), Some(text.as_bytes()), "packed once");
            let codings = answer.headers.iter().filter(|(name, _)| *name == "Content-Encoding").count();
            assert_eq!(codings, 1);
        }
        assert_eq!(body(&answers[0]).as_ptr(), body(&answers[1]).as_ptr(), "the same memory");
        assert_eq!(body(&Document::new("short").answer("text/xml", &asked("gzip"))), b"short");
    }

    #[test]
    fn only_who_takes_it_gets_it_packed() {
        let text = "the same line again and again\n".repeat(100);
        for accept in ["", "identity", "gzip;q=0", "gzipped", "br, gzip; q=0.0"] {
            let plain = Response::new(200, "text/xml", text.clone()).packed_for(&asked(accept));
            assert_eq!(body(&plain), text.as_bytes(), "{accept}");
        }
        let short = Response::new(200, "text/xml", "short").packed_for(&asked("gzip"));
        assert_eq!(body(&short), b"short");
        let failed = Response::new(500, "text/plain", text.clone()).packed_for(&asked("gzip"));
        assert_eq!(body(&failed), text.as_bytes());
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back_and_nothing_longer_than_is_allowed(
            line in prop::collection::vec(any::<u8>(), 1..200),
            times in 1..40_usize,
            (at, with) in (any::<prop::sample::Index>(), any::<u8>()),
        ) {
            let plain = line.repeat(times);
            let Some(packed) = packed(&plain) else {
                prop_assert!(plain.len() < PACKED_BYTES_MIN);
                return Ok(());
            };
            let length = plain.len() as u64;
            prop_assert_eq!(unpacked(&packed, length - 1), None);
            prop_assert_eq!(unpacked(&packed, length), Some(Bytes::from(plain)));
            let mut spoilt = packed.to_vec();
            let at = at.index(spoilt.len());
            spoilt[at] = with;
            for bytes in [&spoilt, &packed[..at]] {
                prop_assert!(unpacked(bytes, 100).is_none_or(|bytes| bytes.len() <= 100));
            }
        }
    }
}
