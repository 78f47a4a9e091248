//! One answer: its head, and its body as it comes. A body that ends early or stands still is an error.

use super::client::{Client, reason, within};
use super::head::{FIELDS_MAX, Headers};
use super::stream::Stream;
use crate::net::NetError;
use bytes::{Bytes, BytesMut};
use std::io::{Error, ErrorKind};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

/// The longest head of an answer.
pub(super) const HEAD_BYTES_MAX: usize = 32 << 10;
/// What is read from a socket at a time, and booked at the rate.
pub(super) const READ_BYTES: usize = 16 << 10;
/// The longest answer that is taken whole into memory.
pub(super) const WHOLE_BYTES_MAX: u64 = 64 << 20;
/// An answer goes on when it brings this much within that time: one that drips stands still.
const STALL_BYTES: usize = 1 << 10;
/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// So many bytes are left.
    Bytes(u64),
    /// In chunks: so many bytes are left of this one, and whether its line end is still to come.
    Chunk(u64, bool),
    /// When the connection ends.
    Close,
    /// Nothing is left.
    Done,
}

pub(super) struct AnswerHead {
    pub(super) status: u16,
    pub(super) headers: Headers,
    keeps_alive: bool,
}

impl AnswerHead {
    /// Reads a head; none where more bytes are needed, else with its length.
    pub(super) fn decode(bytes: &[u8]) -> std::io::Result<Option<(Self, usize)>> {
        let bad = |why: &'static str| Error::new(ErrorKind::InvalidData, why);
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut parser = httparse::Response::new(&mut fields);
        let length = match parser.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            _ => return Err(bad("the answer is not HTTP")),
        };
        let status = parser.code.ok_or(bad("the answer has no status"))?;
        let headers = Headers::locate(&bytes[..length], parser.headers);
        let keeps_alive = match parser.version {
            Some(1) => !headers.has_word("connection", "close"),
            _ => headers.has_word("connection", "keep-alive"),
        };
        Ok(Some((Self { status, headers, keeps_alive }, length)))
    }

    fn body(&self, method: &str) -> std::io::Result<Left> {
        if method == "HEAD" || matches!(self.status, 204 | 304) {
            return Ok(Left::Done);
        }
        if self.headers.has_word("transfer-encoding", "chunked") {
            return Ok(Left::Chunk(0, false));
        }
        match self.headers.get("content-length") {
            None => Ok(Left::Close),
            Some(_) => match self.headers.number("content-length") {
                Some(0) => Ok(Left::Done),
                Some(length) => Ok(Left::Bytes(length)),
                None => Err(Error::new(ErrorKind::InvalidData, "the answer's length is not a number")),
            },
        }
    }
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Its fields.
    pub headers: Headers,
    keeps_alive: bool,
    body: Left,
    stream: Option<Stream>,
    buffer: BytesMut,
    client: &'a Client,
    /// How long it may stand still.
    stall: Duration,
    /// How long it was waited for since the last [`STALL_BYTES`], and what came in that time.
    waited: Duration,
    came: usize,
}

impl<'a> Answer<'a> {
    /// An answer to a request by this method, whose head was read, with what came behind it.
    pub(super) fn new(
        client: &'a Client,
        stall: Duration,
        method: &str,
        head: AnswerHead,
        stream: Stream,
        buffer: BytesMut,
    ) -> std::io::Result<Self> {
        let body = head.body(method)?;
        let AnswerHead { status, headers, keeps_alive } = head;
        let (waited, came) = (Duration::ZERO, 0);
        Ok(Self { status, headers, keeps_alive, body, stream: Some(stream), buffer, client, stall, waited, came })
    }

    /// The length of the body where it was told.
    pub fn length_bytes(&self) -> Option<u64> {
        match self.body {
            Left::Bytes(length) => Some(length),
            Left::Done => Some(0),
            Left::Chunk(..) | Left::Close => None,
        }
    }

    /// The next bytes of the body; none at its end. A body that ends early is an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, NetError> {
        let origin = self.client.origin().to_string();
        self.advance().await.map_err(|error| NetError::Exchange { url: origin, why: reason(&error) })
    }

    /// The whole body.
    pub async fn whole(mut self) -> Result<Bytes, NetError> {
        let too_long =
            || NetError::Exchange { url: self.client.origin().to_string(), why: "the answer is too long".into() };
        if self.length_bytes().is_some_and(|length| length > WHOLE_BYTES_MAX) {
            return Err(too_long());
        }
        let mut whole = BytesMut::new();
        while let Some(bytes) = self.next().await? {
            whole.extend_from_slice(&bytes);
            if whole.len() as u64 > WHOLE_BYTES_MAX {
                return Err(NetError::Exchange {
                    url: self.client.origin().to_string(),
                    why: "the answer is too long".into(),
                });
            }
        }
        Ok(whole.freeze())
    }

    async fn advance(&mut self) -> std::io::Result<Option<Bytes>> {
        loop {
            match self.body {
                Left::Done => {
                    self.keep();
                    return Ok(None);
                }
                Left::Bytes(left) => {
                    let bytes = self.read(left).await?.ok_or_else(ended)?;
                    let left = left - bytes.len() as u64;
                    self.body = if left == 0 { Left::Done } else { Left::Bytes(left) };
                    return Ok(Some(bytes));
                }
                Left::Close => {
                    let bytes = self.read(u64::MAX).await?;
                    if bytes.is_none() {
                        (self.body, self.keeps_alive) = (Left::Done, false);
                    }
                    return Ok(bytes);
                }
                Left::Chunk(0, has_line_end) => {
                    let length = self.chunk_length(has_line_end).await?;
                    self.body = if length == 0 { Left::Done } else { Left::Chunk(length, true) };
                }
                Left::Chunk(left, _) => {
                    let bytes = self.read(left).await?.ok_or_else(ended)?;
                    self.body = Left::Chunk(left - bytes.len() as u64, true);
                    return Ok(Some(bytes));
                }
            }
        }
    }

    /// From now on it may stand still for so long.
    pub fn set_stall(&mut self, stall: Duration) {
        self.stall = stall;
    }

    /// Reads from the connection what is there, as long as it does not stand still.
    async fn read_some(&mut self) -> std::io::Result<usize> {
        let stream = self.stream.as_mut().ok_or_else(ended)?;
        self.buffer.reserve(READ_BYTES);
        let begun = Instant::now();
        let read = within(self.stall.saturating_sub(self.waited), stream.read_buf(&mut self.buffer)).await?;
        self.waited += begun.elapsed();
        self.came += read;
        if self.came >= STALL_BYTES {
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
        Ok(read)
    }

    /// Some bytes of the body, at the rate; none where the connection ended.
    async fn read(&mut self, most: u64) -> std::io::Result<Option<Bytes>> {
        if self.buffer.is_empty() && self.read_some().await? == 0 {
            return Ok(None);
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.buffer.len());
        let bytes = self.buffer.split_to(most).freeze();
        if let Some(bucket) = self.client.download() {
            bucket.take(bytes.len() as u64).await;
        }
        Ok(Some(bytes))
    }

    /// Reads the line that begins a chunk; after the last one also the trailer.
    async fn chunk_length(&mut self, has_line_end: bool) -> std::io::Result<u64> {
        let bad = || Error::new(ErrorKind::InvalidData, "the answer's chunks are malformed");
        if has_line_end && !self.line().await?.is_empty() {
            return Err(bad());
        }
        let line = self.line().await?;
        let digits = line[..].split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        let text = std::str::from_utf8(digits).map_err(|_| bad())?;
        let is_number = text.bytes().all(|b| b.is_ascii_hexdigit());
        let length = is_number.then(|| u64::from_str_radix(text, 16).ok()).flatten().ok_or_else(bad)?;
        if length == 0 {
            for _ in 0..FIELDS_MAX {
                if self.line().await?.is_empty() {
                    return Ok(0);
                }
            }
            return Err(bad());
        }
        Ok(length)
    }

    async fn line(&mut self) -> std::io::Result<BytesMut> {
        loop {
            if let Some(at) = self.buffer.iter().position(|b| *b == b'\n') {
                let mut line = self.buffer.split_to(at + 1);
                let length = line.trim_ascii_end().len();
                line.truncate(length);
                return Ok(line);
            }
            if self.buffer.len() > 4096 {
                return Err(Error::new(ErrorKind::InvalidData, "the answer's chunks are malformed"));
            }
            if self.read_some().await? == 0 {
                return Err(ended());
            }
        }
    }

    /// Gives the connection back for the next request.
    fn keep(&mut self) {
        let Some(stream) = self.stream.take() else { return };
        if self.keeps_alive && self.buffer.is_empty() {
            self.client.keep(stream);
        }
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::UnexpectedEof, "the answer ended early")
}
