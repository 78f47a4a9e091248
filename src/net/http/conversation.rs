//! One connection: reads one request at a time, hands it to the service, sends its answer.

use super::head::{BadHead, Request, RequestHead};
use super::overseer::Lease;
use super::response::{Body, Response};
use super::sender::Sender;
use super::server::{
    BODY_BYTES_MAX, HEAD_BYTES_MAX, IDLE_SECS_MAX, LEFT_BYTES_MAX, LONG_ANSWER_BYTES, Options, REQUEST_SECS_MAX,
    STALL_SECS_MAX, Service, Shares,
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
    let tcp = TcpStream::from_std(tcp)?;
    let Some(stream) = secure(tcp, peer, options, shares, lease).await? else { return Ok(()) };
    let mut held = Held { stream, lease };
    let stream = &mut held.stream;
    let local = stream.tcp().local_addr()?;
    let is_secure = matches!(stream, Stream::Tls(_));
    let mut unread = Vec::new();
    let mut sender = Sender::new(options.upload.as_deref(), lease);
    loop {
        let (head, body) = match read_request(stream, &mut unread, lease).await? {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(BadHead(status)) => {
                let mut response = Response::text(status, "this request cannot be read");
                response.is_last = true;
                sender.send(stream, response, true, false).await?;
                return end(stream, lease, false).await;
            }
        };
        lease.waits();
        let (is_head, is_1_1, wants_more) = (head.method == "HEAD", head.is_1_1, head.keeps_alive());
        let response = service.call(Request { head, body, peer, local, is_secure }).await;
        if let Body::Tunnel(other) = response.body {
            return tunnel(stream, unread, other, lease).await;
        }
        let length_bytes = response.length_bytes();
        let needs_end = length_bytes.is_none() && !is_1_1;
        let keeps_alive = wants_more && !response.is_last && !needs_end && !lease.stops();
        let response = Response { is_last: !keeps_alive, ..response };
        let is_long = !is_head && length_bytes.is_some_and(|length| length >= LONG_ANSWER_BYTES);
        let _turn = if is_long { shares.long_answers.take(peer.ip()).await } else { None };
        let is_whole = sender.send(stream, response, is_1_1, is_head).await?;
        if !is_whole || !keeps_alive {
            let has_at_most = |most| is_head || length_bytes.is_some_and(|length| length <= most);
            // Then nothing is under way from the client, and nothing waits here for what it takes.
            let is_over = is_whole && !wants_more && unread.is_empty() && matches!(stream, Stream::Plain(_));
            if is_over && has_at_most(LEFT_BYTES_MAX) && !shares.is_memory_short.load(Ordering::Relaxed) {
                return Ok(());
            }
            return end(stream, lease, !has_at_most(LONG_ANSWER_BYTES)).await;
        }
        if !unread.is_empty() {
            // Whoever sends many requests at once has one answered, then others have their turn.
            tokio::task::yield_now().await;
        }
    }
}

/// A connection as long as it is served.
struct Held<'a> {
    stream: Stream,
    lease: &'a Lease,
}

impl Drop for Held<'_> {
    /// The system goes on sending what waits when a connection is closed: not so where it is to be had back.
    fn drop(&mut self) {
        if self.lease.is_forfeit() {
            let _ = socket2::SockRef::from(self.stream.tcp()).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Ends a connection once its client has closed it, or had its time to: of one that is closed while bytes of its client are
/// under way, the client may lose what it has not taken yet.
async fn end(stream: &mut Stream, lease: &Lease, has_much: bool) -> std::io::Result<()> {
    if has_much {
        // As long as much waits in the kernel it is watched over: nobody would, once it is closed.
        lease.rests();
        let tcp = stream.tcp();
        let _ = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(1);
        tcp.async_io(Interest::WRITABLE, || has_room(tcp)).await?;
    }
    stream.shutdown().await?;
    lease.lingers();
    let mut rest = Vec::new();
    while read_some(stream, &mut rest).await? > 0 {
        rest.clear();
    }
    Ok(())
}

/// Carries bytes to and fro until both sides have ended.
async fn tunnel(stream: &mut Stream, unread: Vec<u8>, mut other: TcpStream, lease: &Lease) -> std::io::Result<()> {
    lease.limits(STALL_SECS_MAX);
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    other.write_all(&unread).await?;
    lease.waits();
    tokio::io::copy_bidirectional(stream, &mut other).await.map(|_| ())
}

/// Shakes hands where the first byte is a TLS handshake's and TLS is offered; none where the client has gone.
async fn secure(
    tcp: TcpStream,
    peer: SocketAddr,
    options: &Options,
    shares: &Shares,
    lease: &Lease,
) -> std::io::Result<Option<Stream>> {
    let Some(tls) = &options.tls else { return Ok(Some(Stream::Plain(tcp))) };
    let mut first = [0];
    lease.limits(IDLE_SECS_MAX);
    match tcp.peek(&mut first).await? {
        0 => Ok(None),
        _ if first[0] == TLS_HANDSHAKE => {
            lease.limits(REQUEST_SECS_MAX);
            // Most of what one costs is computed here; it is given back before the first request.
            let _turn = shares.handshakes.take(peer.ip()).await;
            Ok(Some(Stream::Tls(Box::new(tls.accept(tcp).await?.into()))))
        }
        _ => Ok(Some(Stream::Plain(tcp))),
    }
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
