//! One connection: reads one request at a time, hands it to the service, sends its answer.

use super::head::{BadHead, Request, RequestHead};
use super::overseer::Lease;
use super::response::{Body, Response};
use super::sender::Sender;
use super::server::{
    BODY_BYTES_MAX, HEAD_BYTES_MAX, IDLE_SECS_MAX, LEFT_BYTES_MAX, LINGER_SECS_MAX, LONG_ANSWER_BYTES, Options,
    REQUEST_SECS_MAX, STALL_SECS_MAX, Service, Shares, WATCHED_LINGER_SECS_MAX,
};
use super::stream::{Stream, has_room};
use bytes::Bytes;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;

/// What is read from a socket at a time.
const READ_BYTES: usize = 4 << 10;
/// The memory that a connection at rest keeps for its next request.
const REST_BYTES_KEPT: usize = 1 << 10;
/// Who takes this much of what waits for it has the time for as much again before its connection is closed.
const TAKEN_BYTES_MIN: u32 = 64 << 10;
/// More than this does not wait for a client.
const QUEUE_BYTES_MAX: u32 = 4 << 20;
/// How often it is seen whether a client that has closed has confirmed all.
const CONFIRMING: Duration = Duration::from_millis(50);
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Serves one connection until either side ends it.
pub(super) async fn hold<S: Service>(
    tcp: std::net::TcpStream,
    peer: SocketAddr,
    service: &S,
    options: &Options,
    shares: &Shares,
    lease: &Lease,
) -> std::io::Result<()> {
    let mut held = Held { stream: Some(Stream::Plain(TcpStream::from_std(tcp)?)), lease, shares, is_over: false };
    if !secure(&mut held, peer, options).await? {
        return Ok(());
    }
    let stream = held.stream();
    let local = stream.tcp().local_addr()?;
    let is_secure = matches!(stream, Stream::Tls(_));
    let mut unread = Vec::new();
    let mut sender = Sender::new(options.upload.as_deref(), lease);
    let mut has_answered = false;
    loop {
        let stream = held.stream();
        let (head, body) = match read_request(stream, &mut unread, lease).await? {
            Ok(Some(request)) => request,
            Ok(None) if has_answered => return held.end(QUEUE_BYTES_MAX).await,
            Ok(None) => return Ok(()),
            Err(BadHead(status)) => {
                let mut response = Response::text(status, "this request cannot be read");
                response.is_last = true;
                sender.send(stream, response, true, false).await?;
                return held.end(if has_answered { QUEUE_BYTES_MAX } else { 0 }).await;
            }
        };
        lease.waits();
        let (is_head, is_1_1, wants_more) = (head.method == "HEAD", head.is_1_1, head.keeps_alive());
        let response = service.call(Request { head, body, peer, local, is_secure }).await;
        if let Body::Tunnel(other) = response.body {
            tunnel(stream, unread, other, lease).await?;
            held.is_over = true;
            return Ok(());
        }
        let length_bytes = response.length_bytes();
        let needs_end = length_bytes.is_none() && !is_1_1;
        let keeps_alive = wants_more && !response.is_last && !needs_end && !lease.stops();
        let response = Response { is_last: !keeps_alive, ..response };
        let is_long = !is_head && length_bytes.is_some_and(|length| length >= LONG_ANSWER_BYTES);
        let _turn = if is_long { shares.long_answers.take(peer.ip()).await } else { None };
        let is_whole = sender.send(stream, response, is_1_1, is_head).await?;
        if !is_whole || !keeps_alive {
            let has_little = !has_answered && (is_head || length_bytes.is_some_and(|length| length <= LEFT_BYTES_MAX));
            // Then nothing is under way from the client, and nothing waits here for what it takes.
            let is_over = is_whole && !wants_more && unread.is_empty() && matches!(stream, Stream::Plain(_));
            if is_over && has_little && !held.is_watched() {
                held.is_over = true;
                return Ok(());
            }
            return held.end(if has_little { 0 } else { QUEUE_BYTES_MAX }).await;
        }
        has_answered = true;
        if !unread.is_empty() {
            // Whoever sends many requests at once has one answered, then others have their turn.
            tokio::task::yield_now().await;
        }
    }
}

/// A connection as long as it is served.
struct Held<'a> {
    /// None while its handshake has it.
    stream: Option<Stream>,
    lease: &'a Lease,
    shares: &'a Shares,
    /// Whether what waits for its client may be left to the system.
    is_over: bool,
}

impl Held<'_> {
    fn stream(&mut self) -> &mut Stream {
        self.stream.as_mut().expect("a handshake gives it back")
    }

    fn is_watched(&self) -> bool {
        self.shares.is_watched.load(Ordering::Relaxed)
    }

    /// Ends a connection for which at most so many bytes wait, once its client has closed it, or had its time to: of one that
    /// is closed while bytes of its client are under way, the client may lose what it has not taken yet.
    async fn end(mut self, mut waiting_bytes: u32) -> std::io::Result<()> {
        let (lease, shares) = (self.lease, self.shares);
        let stream = self.stream();
        let tcp = stream.tcp();
        let has_room_from = |bytes| {
            let _ = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(bytes);
            has_room(tcp)
        };
        // Most have taken all of it.
        if waiting_bytes > 0 && has_room_from(1).is_ok() {
            waiting_bytes = 0;
        }
        // As long as much waits in the kernel it is watched over: nobody would, once it is closed.
        while waiting_bytes > 0 {
            waiting_bytes = waiting_bytes.saturating_sub(TAKEN_BYTES_MIN);
            lease.rests();
            tcp.async_io(Interest::WRITABLE, || has_room_from(waiting_bytes.max(1))).await?;
        }
        stream.shutdown().await?;
        let is_watched = shares.is_watched.load(Ordering::Relaxed);
        lease.lingers(if is_watched { WATCHED_LINGER_SECS_MAX } else { LINGER_SECS_MAX });
        let mut rest = Vec::new();
        while read_some(stream, &mut rest).await? > 0 {
            rest.clear();
        }
        // Both have closed: the connection is one no more as soon as its client has confirmed all.
        while shares.is_watched.load(Ordering::Relaxed) && stream.tcp().peer_addr().is_ok() {
            tokio::time::sleep(CONFIRMING).await;
        }
        self.is_over = true;
        Ok(())
    }
}

impl Drop for Held<'_> {
    /// The system goes on sending what waits when a connection is closed: not so where it is to be had back, nor where
    /// nobody could tell any more whether it is taken.
    fn drop(&mut self) {
        let is_out_of_sight = self.is_watched() && !self.is_over && !self.lease.stops();
        if let Some(stream) = self.stream.as_ref().filter(|_| is_out_of_sight || self.lease.is_forfeit()) {
            let _ = socket2::SockRef::from(stream.tcp()).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Carries bytes to and fro until both sides have ended.
async fn tunnel(stream: &mut Stream, unread: Vec<u8>, mut other: TcpStream, lease: &Lease) -> std::io::Result<()> {
    lease.limits(STALL_SECS_MAX);
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    other.write_all(&unread).await?;
    lease.waits();
    tokio::io::copy_bidirectional(stream, &mut other).await.map(|_| ())
}

/// Shakes hands where the first byte is a TLS handshake's and TLS is offered; false where the client has gone.
async fn secure(held: &mut Held<'_>, peer: SocketAddr, options: &Options) -> std::io::Result<bool> {
    let Some(tls) = &options.tls else { return Ok(true) };
    let mut first = [0];
    held.lease.limits(IDLE_SECS_MAX);
    if held.stream().tcp().peek(&mut first).await? == 0 {
        return Ok(false);
    }
    if first[0] == TLS_HANDSHAKE {
        held.lease.limits(REQUEST_SECS_MAX);
        // Most of what one costs is computed here; it is given back before the first request.
        let _turn = held.shares.handshakes.take(peer.ip()).await;
        if let Some(Stream::Plain(tcp)) = held.stream.take() {
            let is_watched = held.is_watched();
            if is_watched {
                socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO))?;
            }
            let tls = tls.accept(tcp).await?;
            if is_watched {
                socket2::SockRef::from(tls.get_ref().0).set_linger(None)?;
            }
            held.stream = Some(Stream::Tls(Box::new(tls.into())));
        }
    }
    Ok(true)
}

/// Reads some bytes behind those that are there; none came where the client has ended. While nothing comes, no memory is
/// held for it.
async fn read_some(stream: &mut Stream, unread: &mut Vec<u8>) -> std::io::Result<usize> {
    std::future::poll_fn(|context| {
        let mut memory = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut memory);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
        unread.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}

/// Reads a request: none where the client ended the connection, or it is time to stop.
async fn read_request(
    stream: &mut Stream,
    unread: &mut Vec<u8>,
    lease: &Lease,
) -> std::io::Result<Result<Option<(RequestHead, Bytes)>, BadHead>> {
    if unread.is_empty() {
        unread.shrink_to(REST_BYTES_KEPT);
        lease.rests();
        if lease.stops() || read_some(stream, unread).await? == 0 {
            return Ok(Ok(None));
        }
    }
    lease.reads();
    let (head, head_bytes) = loop {
        match RequestHead::decode(unread) {
            Ok(Some(read)) => break read,
            Ok(None) if unread.len() >= HEAD_BYTES_MAX => return Ok(Err(BadHead(431))),
            Ok(None) => {}
            Err(bad) => return Ok(Err(bad)),
        }
        if read_some(stream, unread).await? == 0 {
            return Ok(Ok(None));
        }
    };
    let body_bytes = match head.body_bytes() {
        Ok(length) if length <= BODY_BYTES_MAX => length as usize,
        Ok(_) => return Ok(Err(BadHead(413))),
        Err(bad) => return Ok(Err(bad)),
    };
    let whole = head_bytes + body_bytes;
    if whole > unread.len() && head.is_1_1 && head.headers.has_word("expect", "100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while unread.len() < whole {
        if read_some(stream, unread).await? == 0 {
            return Ok(Ok(None));
        }
    }
    let body = Bytes::copy_from_slice(&unread[head_bytes..whole]);
    unread.drain(..whole);
    Ok(Ok(Some((head, body))))
}
