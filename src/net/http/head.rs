//! The head of a request: its line and its fields, as slices of the bytes that arrived.

use bytes::Bytes;
use std::net::SocketAddr;

/// A head may have this many fields.
pub(super) const FIELDS_MAX: usize = 64;

/// The fields of a head.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    raw: Bytes,
    /// Start and end of the name, start and end of the value: a head is shorter than 64 KiB.
    fields: Vec<[u16; 4]>,
}

impl Headers {
    /// The fields that a parser found in these bytes.
    pub(super) fn locate(bytes: &[u8], parsed: &[httparse::Header<'_>]) -> Self {
        let base = bytes.as_ptr() as usize;
        let span = |part: &[u8]| {
            let start = part.as_ptr() as usize - base;
            [start as u16, (start + part.len()) as u16]
        };
        let fields = parsed
            .iter()
            .map(|field| {
                let ([a, b], [c, d]) = (span(field.name.as_bytes()), span(field.value));
                [a, b, c, d]
            })
            .collect();
        Self { raw: Bytes::copy_from_slice(bytes), fields }
    }

    /// Every name and value, in the order sent; a value that is not UTF-8 is left out.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().filter_map(|&[a, b, c, d]| {
            let name = std::str::from_utf8(self.raw.get(usize::from(a)..usize::from(b))?).ok()?;
            let value = std::str::from_utf8(self.raw.get(usize::from(c)..usize::from(d))?).ok()?;
            Some((name, value.trim()))
        })
    }

    /// The first value of this name, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The number in this field.
    pub fn number(&self, name: &str) -> Option<u64> {
        let text = self.get(name)?;
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
    }

    /// Whether a comma-separated field has this word.
    pub fn has_word(&self, name: &str, word: &str) -> bool {
        self.iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .any(|(_, value)| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
    }

    /// Whether `If-None-Match` names what has this entity tag: a weak comparison (RFC 9110, sections 8.8.3.2 and 13.1.2).
    /// None without that field.
    pub fn names_tag(&self, tag: &str) -> Option<bool> {
        let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        Some(self.get("if-none-match")?.split(',').any(|there| there.trim() == "*" || strong(there) == strong(tag)))
    }
}

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `host:port` of a request to a proxy (`GET http://host:port/path`), none for the usual form.
    pub authority: Option<String>,
    /// The path as sent, percent-encoded, beginning with a slash.
    pub path: String,
    /// What follows the question mark.
    pub query: Option<String>,
}

impl Target {
    /// Reads the origin form (`/path?query`) and the absolute form (`http://host/path`, in small letters or capitals).
    pub fn parse(text: &str) -> Option<Self> {
        const SCHEME: &str = "http://";
        let (authority, rest) = match text.split_at_checked(SCHEME.len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                (Some(rest[..end].to_owned()), &rest[end..])
            }
            _ => (None, text),
        };
        if authority.as_deref() == Some("") || (authority.is_none() && !rest.starts_with('/')) {
            return None;
        }
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query.to_owned())));
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { authority, path: path.to_owned(), query })
    }

    /// Reads the authority form (`host:port`) of a request for a tunnel.
    pub fn of_tunnel(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let is_one = !host.is_empty() && !text.contains(['/', '?', '@']) && port.parse::<u16>().is_ok();
        is_one.then(|| Self { authority: Some(text.to_owned()), path: "/".to_owned(), query: None })
    }

    /// The path with its percent-encoding undone; none where that is not UTF-8, or holds a NUL.
    pub fn decoded_path(&self) -> Option<String> {
        let path = percent_encoding::percent_decode_str(&self.path).decode_utf8().ok()?;
        (!path.contains('\0')).then(|| path.into_owned())
    }

    /// The decoded path of a file: of slashes in a row one counts, as other servers of files have it, and as a
    /// repository's address with a slash at its end needs it.
    pub fn file_path(&self) -> Option<String> {
        let mut path = self.decoded_path()?;
        let mut after_slash = false;
        path.retain(|c| !(std::mem::replace(&mut after_slash, c == '/') && c == '/'));
        Some(path)
    }

    /// The path and query as sent.
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The first value of this name in the query, decoded.
    pub fn query_value(&self, name: &str) -> Option<String> {
        let (_, value) =
            self.query.as_deref()?.split('&').filter_map(|pair| pair.split_once('=')).find(|p| p.0 == name)?;
        Some(percent_encoding::percent_decode_str(value).decode_utf8().ok()?.into_owned())
    }
}

/// The head of a request.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// `GET`, `HEAD`, `POST`, ...
    pub method: String,
    /// What it is for.
    pub target: Target,
    /// Whether it is HTTP/1.1 rather than 1.0.
    pub is_1_1: bool,
    /// Its fields.
    pub headers: Headers,
}

/// A head that cannot be served: the status that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadHead(pub u16);

impl RequestHead {
    /// Reads a head at the start of these bytes: it and its length, or none where more bytes are needed.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, BadHead> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut parser = httparse::Request::new(&mut fields);
        let length = match parser.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(BadHead(431)),
            Err(httparse::Error::Version) => return Err(BadHead(505)),
            Err(_) => return Err(BadHead(400)),
        };
        if length > usize::from(u16::MAX) {
            return Err(BadHead(431));
        }
        let (Some(method), Some(target)) = (parser.method, parser.path) else { return Err(BadHead(400)) };
        let target = match method {
            "CONNECT" => Target::of_tunnel(target),
            _ => Target::parse(target),
        };
        let target = target.ok_or(BadHead(400))?;
        let head = Self {
            method: method.to_owned(),
            target,
            is_1_1: parser.version == Some(1),
            headers: Headers::locate(&bytes[..length], parser.headers),
        };
        Ok(Some((head, length)))
    }

    /// The length of the body that follows. A head that tells it in more than one way, or by chunks, is refused, and
    /// with it everything that comes behind: nobody else may have understood another length.
    pub fn body_bytes(&self) -> Result<u64, BadHead> {
        if self.headers.get("transfer-encoding").is_some() {
            return Err(BadHead(411));
        }
        let mut told = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        match (told.next(), told.next()) {
            (None, _) => Ok(0),
            (Some(_), None) => self.headers.number("content-length").ok_or(BadHead(400)),
            _ => Err(BadHead(400)),
        }
    }

    /// Whether the connection stays open after the answer.
    pub fn keeps_alive(&self) -> bool {
        match self.is_1_1 {
            true => !self.headers.has_word("connection", "close"),
            false => self.headers.has_word("connection", "keep-alive"),
        }
    }
}

/// A request as a service sees it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its head.
    pub head: RequestHead,
    /// Its body, whole.
    pub body: Bytes,
    /// Who asks.
    pub peer: SocketAddr,
    /// The address of ours that it came to.
    pub local: SocketAddr,
    /// Whether it came over TLS.
    pub is_secure: bool,
}

impl Request {
    /// What its `Range` field says: it has a meaning for `GET` alone (RFC 9110, section 14.2).
    pub fn range(&self) -> Option<&str> {
        self.head.headers.get("range").filter(|_| self.head.method == "GET")
    }

    /// `GET` or `HEAD`.
    pub fn is_read(&self) -> bool {
        matches!(self.head.method.as_str(), "GET" | "HEAD")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_head_is_read_with_its_fields() {
        let bytes =
            b"GET /a%20b?x=1&y=%2F HTTP/1.1\r\nHost: f\r\nX-RHN-Provisioning-MAC-0: eth0 52:54:00:00:00:01\r\n\r\nrest";
        let (head, length) = RequestHead::decode(bytes).expect("a good head").expect("a whole head");
        assert_eq!(&bytes[length..], b"rest");
        assert_eq!(head.target.decoded_path().as_deref(), Some("/a b"));
        assert_eq!(head.target.query_value("y").as_deref(), Some("/"));
        assert_eq!(head.headers.get("x-rhn-provisioning-mac-0"), Some("eth0 52:54:00:00:00:01"));
        assert!(head.keeps_alive());
        assert!(matches!(RequestHead::decode(&bytes[..40]), Ok(None)));
    }

    #[test]
    fn a_tag_is_named_whether_it_is_weak_or_not() {
        let names = |fields: &str, tag: &str| {
            let text = format!("GET / HTTP/1.1\r\nHost: f\r\n{fields}\r\n");
            RequestHead::decode(text.as_bytes()).unwrap().unwrap().0.headers.names_tag(tag)
        };
        assert_eq!(names("", "\"a\""), None);
        for (theirs, ours, expected) in [
            ("\"a\"", "\"a\"", true),
            ("\"b\", W/\"a\"", "\"a\"", true),
            ("\"a\"", "W/\"a\"", true),
            ("*", "W/\"a\"", true),
            ("\"b\", \"ab\"", "\"a\"", false),
            ("", "\"a\"", false),
        ] {
            assert_eq!(names(&format!("If-None-Match: {theirs}\r\n"), ours), Some(expected), "{theirs} {ours}");
        }
    }

    #[test]
    fn of_slashes_in_a_row_one_counts_in_the_path_of_a_file() {
        for (path, expected) in [
            ("/el9//repodata/repomd.xml", Some("/el9/repodata/repomd.xml")),
            ("//a///b%2F/%2fc//", Some("/a/b/c/")),
            ("/a+b~c^d%2B%7e%5E.rpm", Some("/a+b~c^d+~^.rpm")),
            ("/a%00", None),
        ] {
            let target = Target::parse(path).expect("a path");
            assert_eq!(target.file_path().as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_proxys_request_names_its_authority() {
        let target = Target::parse("http://10.1.1.1:80/x/y.rpm").expect("absolute form");
        assert_eq!((target.authority.as_deref(), target.path.as_str()), (Some("10.1.1.1:80"), "/x/y.rpm"));
        assert_eq!(Target::parse("HTTP://10.1.1.1:80/x/y.rpm"), Some(target));
        assert_eq!(Target::parse("http://host").map(|target| target.path), Some("/".into()));
        assert_eq!(Target::parse("http:///x"), None);
        assert_eq!(Target::parse("*"), None);
    }

    #[test]
    fn a_tunnel_names_host_and_port() {
        let read = |text: &str| Target::of_tunnel(text).and_then(|target| target.authority);
        assert_eq!(read("mirror.example:443").as_deref(), Some("mirror.example:443"));
        assert_eq!(read("[fd00::1]:443").as_deref(), Some("[fd00::1]:443"));
        for text in ["mirror.example", ":443", "a:99999", "a:https", "http://a:443", "u@a:443", "/x:443", ""] {
            assert_eq!(read(text), None, "{text}");
        }
        let (head, _) = RequestHead::decode(b"CONNECT a:443 HTTP/1.1\r\n\r\n").expect("good").expect("whole");
        assert_eq!(head.target.authority.as_deref(), Some("a:443"));
    }

    #[test]
    fn a_body_has_one_length_or_its_request_is_refused() {
        for (fields, expected) in [
            ("", Ok(0)),
            ("Content-Length: 12\r\n", Ok(12)),
            ("Content-Length: 12\r\nContent-Length: 12\r\n", Err(BadHead(400))),
            ("Content-Length: 12\r\ncontent-length: 13\r\n", Err(BadHead(400))),
            ("Content-Length: +12\r\n", Err(BadHead(400))),
            ("Content-Length: 1 2\r\n", Err(BadHead(400))),
            ("Content-Length:\r\n", Err(BadHead(400))),
            ("Content-Length: 0x10\r\n", Err(BadHead(400))),
            ("Content-Length: 99999999999999999999\r\n", Err(BadHead(400))),
            ("Transfer-Encoding: chunked\r\n", Err(BadHead(411))),
            ("Content-Length: 3\r\nTransfer-Encoding: xchunked\r\n", Err(BadHead(411))),
        ] {
            let text = format!("POST / HTTP/1.1\r\n{fields}\r\n");
            let (head, _) = RequestHead::decode(text.as_bytes()).expect("good").expect("whole");
            assert_eq!(head.body_bytes(), expected, "{fields}");
        }
    }

    #[test]
    fn bad_heads_have_a_status() {
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
        assert_eq!(RequestHead::decode(many.as_bytes()).map(|_| ()), Err(BadHead(431)));
        assert_eq!(RequestHead::decode(b"GET / HTTP/2.0\r\n\r\n").map(|_| ()), Err(BadHead(505)));
        assert_eq!(RequestHead::decode(b"\x16\x03\x01\x02\x00").map(|_| ()), Err(BadHead(400)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(Some((head, length))) = RequestHead::decode(&bytes) {
                prop_assert!(length <= bytes.len());
                let _ = (head.headers.iter().count(), head.target.decoded_path());
            }
        }

        #[test]
        fn any_fields_come_back(name in "[A-Za-z-]{1,12}", value in "[!-~]{0,30}") {
            let text = format!("GET / HTTP/1.1\r\n{name}: {value}\r\n\r\n");
            let (head, _) = RequestHead::decode(text.as_bytes()).expect("good").expect("whole");
            prop_assert_eq!(head.headers.get(&name), Some(value.as_str()));
        }
    }
}
