//! An answer: status, fields, and a body that is bytes, a slice of a file, or a stream of both.

use bytes::Bytes;
use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Part of an open file.
#[derive(Debug, Clone)]
pub struct FileSlice {
    /// The file.
    pub file: Arc<File>,
    /// Where the part begins.
    pub offset: u64,
    /// How long it is.
    pub length_bytes: u64,
}

/// A part of a streamed body.
#[derive(Debug, Clone)]
pub enum Segment {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Part of a file.
    File(FileSlice),
}

impl Segment {
    /// Its length.
    pub fn length_bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(slice) => slice.length_bytes,
        }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// In memory, or in a file.
    Whole(Segment),
    /// As it comes. With a length, a stream that ends early closes the connection, so that the client sees it;
    /// without one it is sent in chunks.
    Stream {
        /// Its length where it is known.
        length_bytes: Option<u64>,
        /// Its parts, in order.
        segments: mpsc::Receiver<Segment>,
    },
    /// None: from here on bytes go to and fro between the client and this connection, and nothing else is asked for
    /// (RFC 9110, section 9.3.6).
    Tunnel(TcpStream),
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Fields beside `Content-Length`, `Transfer-Encoding`, `Connection`, `Date`.
    pub headers: Vec<(&'static str, String)>,
    /// More fields, as lines that were made beforehand, each with its end.
    pub prepared: Option<Arc<str>>,
    /// The body.
    pub body: Body,
    /// Counts the bytes of the body as they leave.
    pub sent: Option<Arc<AtomicU64>>,
    /// Whether the connection is closed after it, whatever the client wishes.
    pub is_last: bool,
}

impl Response {
    /// An answer with this body.
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::with_body(status, Body::Whole(Segment::Bytes(body.into()))).with("Content-Type", content_type)
    }

    /// An answer with this body and no fields.
    pub fn with_body(status: u16, body: Body) -> Self {
        Self { status, headers: Vec::new(), prepared: None, body, sent: None, is_last: false }
    }

    /// An answer of one line of text.
    pub fn text(status: u16, line: impl std::fmt::Display) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{line}\n"))
    }

    /// A part of a file, or all of it.
    pub fn file(status: u16, content_type: &str, slice: FileSlice) -> Self {
        Self::with_body(status, Body::Whole(Segment::File(slice))).with("Content-Type", content_type)
    }

    /// A body as it comes.
    pub fn stream(status: u16, length_bytes: Option<u64>, segments: mpsc::Receiver<Segment>) -> Self {
        Self::with_body(status, Body::Stream { length_bytes, segments })
    }

    /// Adds a field. A value that would end the line is left out.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.bytes().any(|b| b.is_ascii_control()) {
            self.headers.push((name, value));
        }
        self
    }

    /// Counts its body's bytes there.
    pub fn counted(mut self, counter: &Arc<AtomicU64>) -> Self {
        self.sent = Some(Arc::clone(counter));
        self
    }

    /// Its length where it is known.
    pub fn length_bytes(&self) -> Option<u64> {
        match &self.body {
            Body::Whole(segment) => Some(segment.length_bytes()),
            Body::Stream { length_bytes, .. } => *length_bytes,
            Body::Tunnel(_) => None,
        }
    }

    /// Writes the head.
    pub(super) fn write_head(&self, out: &mut Vec<u8>, keeps_alive: bool, is_1_1: bool) {
        let status = self.status;
        let _ = write!(out, "HTTP/1.1 {status} {}\r\nServer: rocks\r\nDate: ", reason(status));
        put_date(out);
        out.extend_from_slice(b"\r\n");
        if let Some(prepared) = &self.prepared {
            out.extend_from_slice(prepared.as_bytes());
        }
        for (name, value) in &self.headers {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        match self.length_bytes() {
            _ if matches!(status, 204 | 304) => {}
            Some(length) => {
                let _ = write!(out, "Content-Length: {length}\r\n");
            }
            None if is_1_1 => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            None => {}
        }
        out.extend_from_slice(if keeps_alive {
            b"Connection: keep-alive\r\n\r\n"
        } else {
            b"Connection: close\r\n\r\n"
        });
    }
}

/// A time as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn http_date(time: SystemTime) -> String {
    let stamp = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&stamp).unwrap_or_default()
}

/// Writes the present time as HTTP does; each thread makes it once a second.
fn put_date(out: &mut Vec<u8>) {
    thread_local! {
        static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    let now = SystemTime::now();
    let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LAST.with_borrow_mut(|(of, date)| {
        if *of != second {
            (*of, *date) = (second, http_date(now));
        }
        out.extend_from_slice(date.as_bytes());
    });
}

/// The words of a status.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_length_and_connection_and_a_value_never_ends_its_line() {
        let mut out = Vec::new();
        Response::text(403, "no")
            .with("X-Host", "a\r\nSet-Cookie: b")
            .with("ETag", "\"e\"")
            .write_head(&mut out, true, true);
        let text = String::from_utf8(out).expect("ASCII");
        assert!(text.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{text}");
        assert!(text.contains("ETag: \"e\"\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n"), "{text}");
        assert!(!text.contains("Set-Cookie"), "{text}");
    }

    #[test]
    fn dates_are_http_dates() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
        assert_eq!(http_date(time), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
