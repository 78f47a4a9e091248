//! Sends answers: a head and what is behind it in as few calls as the system allows, at the rate, counting the body.

use super::overseer::Lease;
use super::response::{Body, FileSlice, Response, Segment};
use super::server::STALL_SECS_MAX;
use super::stream::Stream;
use crate::net::rate::Bucket;
use rustix::net::SendFlags;
use std::io::{Error, ErrorKind, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

/// The most that one `sendfile` is asked for: another connection's turn comes soon.
const SENDFILE_BYTES_MAX: u64 = 2 << 20;
/// A file from this length on is more than the kernel keeps for a connection. It leaves in whole segments: an odd one at the
/// end of each call would go out at once, and costs both sides as much as a whole one.
const LONG_BYTES_MIN: u64 = 4 << 20;
/// From so many connections of a thread on, what the kernel keeps for them may exceed what it has for all TCP: then it
/// shortens every queue, and all send in small steps.
const CROWD_CONNECTIONS_MIN: usize = 100;
/// What may wait in the kernel for a connection in a crowd. Less costs more calls.
const CROWD_QUEUE_BYTES: u32 = 1 << 20;
/// What may wait in the kernel of a long file until so much of it has left that somebody reads it: what nobody reads is
/// memory of all others.
const UNREAD_QUEUE_BYTES: u32 = 256 << 10;
/// Who has taken so much of a long file reads it.
const READ_BYTES_MIN: u64 = 1 << 20;
/// What is booked at a told rate at a time: a booking should be short.
const PACED_BYTES_MAX: u64 = 16 << 10;
/// What a TLS connection reads of a file at a time.
const TLS_CHUNK_BYTES: usize = 64 << 10;
/// The memory that a connection keeps for its next head.
const HEAD_BYTES_KEPT: usize = 1 << 10;

/// What one connection's answers leave through.
pub(super) struct Sender<'a> {
    upload: Option<&'a Bucket>,
    lease: &'a Lease,
    /// The head that is being sent.
    head: Vec<u8>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(upload: Option<&'a Bucket>, lease: &'a Lease) -> Self {
        Self { upload, lease, head: Vec::new() }
    }

    /// Sends an answer; false where its body ended early, so that the connection must close.
    pub(super) async fn send(
        &mut self,
        stream: &mut Stream,
        response: Response,
        is_1_1: bool,
        is_head: bool,
    ) -> std::io::Result<bool> {
        self.lease.limits(STALL_SECS_MAX);
        self.head.clear();
        self.head.shrink_to(HEAD_BYTES_KEPT);
        response.write_head(&mut self.head, !response.is_last, is_1_1);
        let no_body = is_head || matches!(response.status, 204 | 304);
        let counter = response.sent;
        let mut way = Way { stream, upload: self.upload, lease: self.lease, counter: counter.as_deref() };
        match response.body {
            _ if no_body => way.bytes(&self.head, &[]).await.map(|()| true),
            Body::Whole(Segment::Bytes(bytes)) => way.bytes(&self.head, &bytes).await.map(|()| true),
            Body::Whole(Segment::File(slice)) => way.file(&self.head, slice).await.map(|()| true),
            // The conversation has seen to it.
            Body::Tunnel(_) => Ok(false),
            Body::Stream { length_bytes, mut segments } => {
                let is_chunked = length_bytes.is_none() && is_1_1;
                way.bytes(&self.head, &[]).await?;
                let mut left = length_bytes.unwrap_or(u64::MAX);
                while left > 0 {
                    self.lease.waits();
                    let Some(segment) = segments.recv().await else { break };
                    self.lease.limits(STALL_SECS_MAX);
                    let length = segment.length_bytes();
                    if length == 0 {
                        continue;
                    }
                    if length > left {
                        return Ok(false);
                    }
                    left -= length;
                    let before = if is_chunked { format!("{length:x}\r\n") } else { String::new() };
                    way.segment(before.as_bytes(), segment).await?;
                    if is_chunked {
                        way.bytes(b"\r\n", &[]).await?;
                    }
                }
                if is_chunked {
                    way.bytes(b"0\r\n\r\n", &[]).await?;
                }
                Ok(length_bytes.is_none() || left == 0)
            }
        }
    }
}

/// Where one answer goes.
struct Way<'a> {
    stream: &'a mut Stream,
    upload: Option<&'a Bucket>,
    lease: &'a Lease,
    counter: Option<&'a AtomicU64>,
}

impl Way<'_> {
    async fn segment(&mut self, before: &[u8], segment: Segment) -> std::io::Result<()> {
        match segment {
            Segment::Bytes(bytes) => self.bytes(before, &bytes).await,
            Segment::File(slice) => self.file(before, slice).await,
        }
    }

    /// Writes what is not body, and some body behind it.
    async fn bytes(&mut self, mut before: &[u8], body: &[u8]) -> std::io::Result<()> {
        let mut left = body;
        while !before.is_empty() || !left.is_empty() {
            let step = self.book(left.len() as u64).await as usize;
            let now = &left[..step];
            match &mut *self.stream {
                Stream::Plain(tcp) => write_both(tcp, before, now, self.lease).await?,
                stream @ Stream::Tls(_) => {
                    stream.write_all(before).await?;
                    stream.write_all(now).await?;
                    stream.flush().await?; // where the link is full the end of it is still with TLS
                    self.lease.limits(STALL_SECS_MAX);
                }
            }
            self.count(step as u64);
            (before, left) = (&[], &left[step..]);
        }
        Ok(())
    }

    /// Writes what is not body, and part of a file behind it.
    async fn file(&mut self, before: &[u8], slice: FileSlice) -> std::io::Result<()> {
        let (mut at, end) = (slice.offset, slice.offset + slice.length_bytes);
        let mut before = before;
        let is_long = slice.length_bytes >= LONG_BYTES_MIN && self.upload.is_none();
        if is_long {
            self.keep_odd_ends(true);
            self.keep_waiting(UNREAD_QUEUE_BYTES);
        }
        let read_at = at + READ_BYTES_MIN;
        while at < end {
            let most = if is_long && at < read_at { read_at - at } else { end - at };
            let step = self.book(most).await;
            match &mut *self.stream {
                Stream::Plain(tcp) => push(tcp, before, &slice.file, at, step, self.lease).await?,
                stream @ Stream::Tls(_) => {
                    stream.write_all(before).await?;
                    let mut chunk = vec![0; TLS_CHUNK_BYTES.min(step as usize)];
                    let (mut from, until) = (at, at + step);
                    while from < until {
                        let now = chunk.len().min((until - from) as usize);
                        slice.file.read_exact_at(&mut chunk[..now], from)?;
                        stream.write_all(&chunk[..now]).await?;
                        self.lease.limits(STALL_SECS_MAX);
                        from += now as u64;
                    }
                    stream.flush().await?;
                }
            }
            self.count(step);
            before = &[];
            let was_unread = at < read_at;
            at += step;
            if is_long && was_unread && at >= read_at {
                // 0 is what the system has set.
                let is_crowded = self.lease.neighbours() >= CROWD_CONNECTIONS_MIN;
                self.keep_waiting(if is_crowded { CROWD_QUEUE_BYTES } else { 0 });
            }
        }
        if is_long {
            self.keep_odd_ends(false);
        }
        if !before.is_empty() {
            self.bytes(before, &[]).await?;
        }
        Ok(())
    }

    /// How much of a file may wait in the kernel. Without, it is only more.
    fn keep_waiting(&self, bytes: u32) {
        let _ = socket2::SockRef::from(self.stream.tcp()).set_tcp_notsent_lowat(bytes);
    }

    /// Whether what does not fill a segment waits in the kernel for more. Without, it is only slower.
    fn keep_odd_ends(&self, keeps: bool) {
        if let Stream::Plain(tcp) = &*self.stream {
            let _ = rustix::net::sockopt::set_tcp_cork(tcp, keeps);
        }
    }

    /// How much of so many bytes may leave now; at a told rate, once it may.
    async fn book(&self, bytes: u64) -> u64 {
        let Some(bucket) = self.upload.filter(|_| bytes > 0) else { return bytes.min(SENDFILE_BYTES_MAX) };
        let step = bytes.min(PACED_BYTES_MAX);
        self.lease.waits();
        bucket.take(step).await;
        self.lease.limits(STALL_SECS_MAX);
        step
    }

    fn count(&self, bytes: u64) {
        if let Some(counter) = self.counter {
            counter.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

/// Whether a call that took so much of the memory it was given filled the socket: then it is not asked again before it
/// has room.
fn is_full(taken: usize, given: usize) -> bool {
    taken < given
}

/// Writes two pieces of memory in one call, and again where the socket did not take them whole.
async fn write_both(tcp: &TcpStream, first: &[u8], second: &[u8], lease: &Lease) -> std::io::Result<()> {
    let (mut done, all) = (0, first.len() + second.len());
    let write = || {
        while done < all {
            let (head, body) = (&first[done.min(first.len())..], &second[done.saturating_sub(first.len())..]);
            let taken = match (head.is_empty(), body.is_empty()) {
                (false, false) => rustix::io::writev(tcp, &[IoSlice::new(head), IoSlice::new(body)])?,
                (false, true) => rustix::net::send(tcp, head, SendFlags::NOSIGNAL)?,
                (true, _) => rustix::net::send(tcp, body, SendFlags::NOSIGNAL)?,
            };
            done += taken;
            lease.limits(STALL_SECS_MAX);
            if is_full(taken, head.len() + body.len()) {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
        Ok(())
    };
    tcp.async_io(Interest::WRITABLE, write).await
}

/// Sends a piece of memory, which waits in the kernel for what follows, and part of a file behind it. A file that has
/// become shorter is an error.
async fn push(
    tcp: &TcpStream,
    first: &[u8],
    file: &std::fs::File,
    offset: u64,
    length_bytes: u64,
    lease: &Lease,
) -> std::io::Result<()> {
    let (mut rest, mut at, end) = (first, offset, offset + length_bytes);
    let send = || {
        while !rest.is_empty() {
            let taken = rustix::net::send(tcp, rest, SendFlags::MORE | SendFlags::NOSIGNAL)?;
            let full = is_full(taken, rest.len());
            rest = &rest[taken..];
            if full {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
        while at < end {
            // It may take less of a file than it has room for (a process that is stopped and continued interrupts it): only
            // its own word says that it is full.
            let left = (end - at) as usize;
            if rustix::fs::sendfile(tcp, file, Some(&mut at), left)? == 0 {
                return Err(Error::new(ErrorKind::UnexpectedEof, "the file has become shorter"));
            }
            lease.limits(STALL_SECS_MAX);
        }
        Ok(())
    };
    tcp.async_io(Interest::WRITABLE, send).await
}

/// Sends some bytes of a file as the socket takes them; a file that has become shorter is an error.
pub(in crate::net) async fn send_file(
    tcp: &TcpStream,
    file: &std::fs::File,
    offset: u64,
    length_bytes: u64,
) -> std::io::Result<u64> {
    let send = || {
        let mut at = offset;
        match rustix::fs::sendfile(tcp, file, Some(&mut at), length_bytes as usize)? {
            0 => Err(Error::new(ErrorKind::UnexpectedEof, "the file has become shorter")),
            sent => Ok(sent as u64),
        }
    };
    tcp.async_io(Interest::WRITABLE, send).await
}
