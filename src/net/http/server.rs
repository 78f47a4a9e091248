//! The server: accepts, reads one request at a time from a connection, hands it to a service, sends its answer.

use super::head::{BadHead, Request, RequestHead};
use super::places::{ADDRESS_CONNECTIONS_MAX, Places};
use super::response::{Body, FileSlice, Response, Segment};
use super::stream::Stream;
use crate::net::NetError;
use crate::net::log::Log;
use crate::net::rate::Bucket;
use crate::net::seldom::Seldom;
use bytes::{Buf, Bytes, BytesMut};
use rustix::net::SendFlags;
use std::future::Future;
use std::io::{Error, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::time::timeout;

/// Connections that wait to be accepted.
pub const BACKLOG_MAX: u32 = 4096;
/// The longest head.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// The longest body of a request: a report is far shorter.
pub const BODY_BYTES_MAX: u64 = 64 << 10;
/// How long the head or body of a request may take from its first byte.
pub const REQUEST_SECS_MAX: u64 = 20;
/// How long a connection may rest between requests.
pub const IDLE_SECS_MAX: u64 = 75;
/// How long a client may take no byte of its answer.
pub const STALL_SECS_MAX: u64 = 90;
/// How long answers may go on after the word to stop.
pub const STOP_SECS_MAX: u64 = 2;
/// A file part up to this size is read and sent in one write with its head.
const SMALL_FILE_BYTES: u64 = 32 << 10;
/// The most that one `sendfile` is asked for: another connection's turn comes soon.
const SENDFILE_BYTES_MAX: u64 = 1 << 20;
/// The same where a rate is told: a booking should be short.
const PACED_BYTES_MAX: u64 = 16 << 10;
/// What a TLS connection reads of a file at a time.
const TLS_CHUNK_BYTES: usize = 64 << 10;

/// What answers requests.
pub trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn call(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// How a server is run.
#[derive(Clone)]
pub struct Options {
    /// What bodies are sent at, all connections together.
    pub upload: Option<Arc<Bucket>>,
    /// Offers TLS beside the clear: a connection that begins with a TLS handshake gets it.
    pub tls: Option<tokio_rustls::TlsAcceptor>,
    /// Where limits that were reached are told.
    pub log: Log,
    /// Turns true when it is time to stop.
    pub stop: watch::Receiver<bool>,
}

/// Listens, with a long backlog.
pub fn listen(address: SocketAddr) -> Result<TcpListener, NetError> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let bound = socket.and_then(|socket| {
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG_MAX)
    });
    bound.map_err(|source| NetError::Listen { address, source })
}

/// Serves until told to stop; then connections at rest close at once, the others have [`STOP_SECS_MAX`].
pub async fn serve<S: Service>(listener: TcpListener, service: Arc<S>, options: Options) {
    let places = Places::new();
    let (mut was_full, told) = (false, Seldom::default());
    let mut stop = options.stop.clone();
    loop {
        if places.is_full() && !was_full {
            was_full = true;
            options.log.warning("connections-full", &[("limit", &places.all())]);
        }
        let Some(free) = places.free().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((tcp, peer)) => {
                was_full = false;
                let Some(place) = places.take(free, peer.ip()) else {
                    if told.is_due(peer.ip()) {
                        let limit = ADDRESS_CONNECTIONS_MAX;
                        options.log.warning("address-crowds", &[("address", &peer.ip()), ("limit", &limit)]);
                    }
                    continue;
                };
                let (service, options) = (Arc::clone(&service), options.clone());
                tokio::spawn(async move {
                    let _ = tcp.set_nodelay(true);
                    let end = end(options.stop.clone());
                    let served = async {
                        if let Some(stream) = secure(tcp, &options).await {
                            let _ = connection(stream, peer, &*service, options).await;
                        }
                    };
                    tokio::select! { () = served => {}, () = end => {} }
                    drop((place, service));
                });
            }
            Err(error) => {
                // Out of descriptors, or a connection that died in the backlog: neither may end the server.
                if told.is_due(Ipv4Addr::UNSPECIFIED.into()) {
                    options.log.warning("accept-failed", &[("reason", &error)]);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    places.empty().await;
}

/// Waits until nothing may go on any longer.
async fn end(mut stop: watch::Receiver<bool>) {
    // Whoever could say the word is gone without it: nothing is to end.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(Duration::from_secs(STOP_SECS_MAX)).await;
}

/// Shakes hands where the first byte is a TLS handshake's and TLS is offered.
async fn secure(tcp: tokio::net::TcpStream, options: &Options) -> Option<Stream> {
    let Some(tls) = &options.tls else { return Some(Stream::Plain(tcp)) };
    let mut first = [0];
    let peeked = timeout(Duration::from_secs(IDLE_SECS_MAX), tcp.peek(&mut first)).await;
    match peeked {
        Ok(Ok(1)) if first[0] == 0x16 => {
            let shaken = timeout(Duration::from_secs(REQUEST_SECS_MAX), tls.accept(tcp)).await.ok()?.ok()?;
            Some(Stream::Tls(Box::new(shaken.into())))
        }
        Ok(Ok(1)) => Some(Stream::Plain(tcp)),
        _ => None,
    }
}

/// Serves one connection until either side ends it.
async fn connection<S: Service>(
    mut stream: Stream,
    peer: SocketAddr,
    service: &S,
    mut options: Options,
) -> std::io::Result<()> {
    let mut buffer = BytesMut::new();
    let mut out = Vec::new();
    loop {
        if buffer.is_empty() {
            buffer = BytesMut::new();
            let idle = tokio::select! {
                read = rest(&mut stream, &mut buffer) => read,
                _ = options.stop.wait_for(|stop| *stop) => return Ok(()),
            };
            if !idle? {
                return Ok(());
            }
        }
        let limit = Duration::from_secs(REQUEST_SECS_MAX);
        let request = match timeout(limit, read_request(&mut stream, &mut buffer, peer)).await {
            Ok(Ok(Ok(Some(request)))) => request,
            Ok(Ok(Ok(None))) => return Ok(()),
            Ok(Ok(Err(BadHead(status)))) => {
                let mut response = Response::text(status, "this request cannot be read");
                response.is_last = true;
                return send(&mut stream, response, &mut out, &options, true, false).await.map(|_| ());
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(ErrorKind::TimedOut.into()),
        };
        let (is_head, is_1_1) = (request.head.method == "HEAD", request.head.is_1_1);
        let mut keeps_alive = request.head.keeps_alive();
        let response = service.call(request).await;
        let needs_end = response.length_bytes().is_none() && !is_1_1;
        keeps_alive &= !response.is_last && !needs_end && !*options.stop.borrow();
        let response = Response { is_last: !keeps_alive, ..response };
        if !send(&mut stream, response, &mut out, &options, is_1_1, is_head).await? || !keeps_alive {
            stream.shutdown().await?;
            return Ok(());
        }
    }
}

/// Waits for the first bytes of the next request; false where the client has gone or rested too long. A resting
/// connection in the clear holds no buffer.
async fn rest(stream: &mut Stream, buffer: &mut BytesMut) -> std::io::Result<bool> {
    let idle = Duration::from_secs(IDLE_SECS_MAX);
    if let Stream::Plain(tcp) = stream {
        match timeout(idle, tcp.readable()).await {
            Ok(ready) => ready?,
            Err(_) => return Ok(false),
        }
    }
    buffer.reserve(1024);
    match timeout(idle, stream.read_buf(buffer)).await {
        Ok(read) => Ok(read? > 0),
        Err(_) => Ok(false),
    }
}

/// Reads the rest of a request: none where the client ended the connection in between.
async fn read_request(
    stream: &mut Stream,
    buffer: &mut BytesMut,
    peer: SocketAddr,
) -> std::io::Result<Result<Option<Request>, BadHead>> {
    let head = loop {
        match RequestHead::decode(buffer) {
            Ok(Some((head, length))) => {
                buffer.advance(length);
                break head;
            }
            Ok(None) if buffer.len() >= HEAD_BYTES_MAX => return Ok(Err(BadHead(431))),
            Ok(None) => {}
            Err(bad) => return Ok(Err(bad)),
        }
        buffer.reserve(2048);
        if stream.read_buf(buffer).await? == 0 {
            return Ok(Ok(None));
        }
    };
    if head.headers.get("transfer-encoding").is_some() {
        return Ok(Err(BadHead(411)));
    }
    let length = match head.headers.get("content-length") {
        None => 0,
        Some(_) => match head.headers.number("content-length") {
            Some(length) if length <= BODY_BYTES_MAX => length as usize,
            Some(_) => return Ok(Err(BadHead(413))),
            None => return Ok(Err(BadHead(400))),
        },
    };
    if length > buffer.len() && head.headers.has_word("expect", "100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while buffer.len() < length {
        buffer.reserve((length - buffer.len()).min(64 << 10));
        if stream.read_buf(buffer).await? == 0 {
            return Ok(Ok(None));
        }
    }
    let body = buffer.split_to(length).freeze();
    let is_secure = matches!(stream, Stream::Tls(_));
    let local = stream.tcp().local_addr()?;
    Ok(Ok(Some(Request { head, body, peer, local, is_secure })))
}

/// Sends an answer; false where its body ended early, so that the connection must close.
async fn send(
    stream: &mut Stream,
    response: Response,
    out: &mut Vec<u8>,
    options: &Options,
    is_1_1: bool,
    is_head: bool,
) -> std::io::Result<bool> {
    out.clear();
    response.write_head(out, !response.is_last, is_1_1);
    let no_body = is_head || matches!(response.status, 204 | 304);
    let counter = response.sent;
    let mut sender = Sender { stream, upload: options.upload.as_deref(), counter: counter.as_deref() };
    match response.body {
        _ if no_body => sender.head(out).await.map(|()| true),
        Body::Whole(segment) => sender.whole(out, segment).await.map(|()| true),
        Body::Stream { length_bytes, mut segments } => {
            let is_chunked = length_bytes.is_none() && is_1_1;
            sender.head(out).await?;
            let mut left = length_bytes.unwrap_or(u64::MAX);
            while left > 0 {
                let Some(segment) = segments.recv().await else { break };
                let length = segment.length_bytes();
                if length == 0 {
                    continue;
                }
                if length > left {
                    return Ok(false);
                }
                left -= length;
                if is_chunked {
                    sender.head(format!("{length:x}\r\n").as_bytes()).await?;
                }
                sender.segment(segment).await?;
                if is_chunked {
                    sender.head(b"\r\n").await?;
                }
            }
            if is_chunked {
                sender.head(b"0\r\n\r\n").await?;
            }
            Ok(length_bytes.is_none() || left == 0)
        }
    }
}

/// Sends the parts of one answer, at the rate, with the stall limit, counting its body.
struct Sender<'a> {
    stream: &'a mut Stream,
    upload: Option<&'a Bucket>,
    counter: Option<&'a AtomicU64>,
}

impl Sender<'_> {
    /// Writes what is not body.
    async fn head(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        within_stall(self.stream.write_all(bytes)).await
    }

    /// Writes a head and its whole body; small bodies in one write with the head.
    async fn whole(&mut self, out: &mut Vec<u8>, segment: Segment) -> std::io::Result<()> {
        let length = segment.length_bytes();
        if length <= SMALL_FILE_BYTES {
            match &segment {
                Segment::Bytes(bytes) => out.extend_from_slice(bytes),
                Segment::File(slice) => {
                    let start = out.len();
                    out.resize(start + length as usize, 0);
                    slice.file.read_exact_at(&mut out[start..], slice.offset)?;
                }
            }
            if let Some(bucket) = self.upload {
                bucket.take(length).await;
            }
            self.head(out).await?;
            self.count(length);
            return Ok(());
        }
        if let Stream::Plain(tcp) = &*self.stream {
            // The head waits in the kernel for the body's first bytes.
            let mut rest: &[u8] = out;
            while !rest.is_empty() {
                let write = || Ok(rustix::net::send(tcp, rest, SendFlags::MORE | SendFlags::NOSIGNAL)?);
                let sent = within_stall(tcp.async_io(Interest::WRITABLE, write)).await?;
                rest = &rest[sent..];
            }
        } else {
            self.head(out).await?;
        }
        self.segment(segment).await
    }

    /// Writes a part of the body.
    async fn segment(&mut self, segment: Segment) -> std::io::Result<()> {
        match segment {
            Segment::Bytes(bytes) => self.bytes(&bytes).await,
            Segment::File(slice) => self.file(slice).await,
        }
    }

    async fn bytes(&mut self, bytes: &Bytes) -> std::io::Result<()> {
        let step = if self.upload.is_some() { PACED_BYTES_MAX as usize } else { bytes.len().max(1) };
        for chunk in bytes.chunks(step) {
            if let Some(bucket) = self.upload {
                bucket.take(chunk.len() as u64).await;
            }
            within_stall(self.stream.write_all(chunk)).await?;
            self.count(chunk.len() as u64);
        }
        Ok(())
    }

    async fn file(&mut self, slice: FileSlice) -> std::io::Result<()> {
        let end = slice.offset + slice.length_bytes;
        let mut at = slice.offset;
        let most = if self.upload.is_some() { PACED_BYTES_MAX } else { SENDFILE_BYTES_MAX };
        while at < end {
            let step = (end - at).min(most);
            if let Some(bucket) = self.upload {
                bucket.take(step).await;
            }
            let sent = match &mut *self.stream {
                Stream::Plain(tcp) => {
                    let (mut left, mut from) = (step, at);
                    while left > 0 {
                        let sent = within_stall(send_file(tcp, &slice.file, from, left)).await?;
                        (left, from) = (left - sent, from + sent);
                        if self.upload.is_none() {
                            break;
                        }
                    }
                    from - at
                }
                stream @ Stream::Tls(_) => {
                    let mut chunk = vec![0; (step as usize).min(TLS_CHUNK_BYTES)];
                    slice.file.read_exact_at(&mut chunk, at)?;
                    within_stall(stream.write_all(&chunk)).await?;
                    chunk.len() as u64
                }
            };
            self.count(sent);
            at += sent;
        }
        Ok(())
    }

    fn count(&self, bytes: u64) {
        if let Some(counter) = self.counter {
            counter.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

/// Sends some bytes of a file as the socket takes them; a file that has become shorter is an error.
pub(in crate::net) async fn send_file(
    tcp: &tokio::net::TcpStream,
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

async fn within_stall<T>(write: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    match timeout(Duration::from_secs(STALL_SECS_MAX), write).await {
        Ok(done) => done,
        Err(_) => Err(ErrorKind::TimedOut.into()),
    }
}
