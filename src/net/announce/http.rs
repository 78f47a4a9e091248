//! Announces and scrapes over HTTP: one task a connection, one small read and one write an announce.

use super::Shared;
use super::metrics::{self, Counters};
use crate::net::places::Places;
use crate::net::seldom::Seldom;
use crate::tracker::Refusal;
use crate::wire::http::{self, Head, Request};
use crate::wire::{Announce, WireError};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How long a connection may rest between requests.
const IDLE: Duration = Duration::from_secs(75);
/// How long a request may take from its first byte, and an answer to be taken.
const EXCHANGE: Duration = Duration::from_secs(10);
/// How long nothing is accepted after the system refused to.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The most answers that wait to be written for one connection; clients that send many requests at once are rare.
const ANSWERS_BYTES_MAX: usize = 64 * 1024;

/// Accepts until told to stop.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let (places, crowding) = (Places::new(), Seldom::default());
    let mut was_full = false;
    loop {
        if !was_full && places.is_full() {
            shared.log.warning("connections-full", &[("limit", &places.all())]);
        }
        was_full = places.is_full();
        let next = async {
            let free = places.free().await.ok_or(std::io::ErrorKind::Other)?;
            let (stream, peer) = listener.accept().await?;
            Ok::<_, std::io::Error>((stream, peer, free))
        };
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            accepted = next => accepted,
        };
        match accepted {
            Ok((stream, peer, free)) => {
                let Some(place) = places.take(free, peer.ip()) else {
                    if crowding.is_due(peer.ip()) {
                        let limit = places.share();
                        shared.log.warning("address-crowds", &[("address", &peer.ip()), ("limit", &limit)]);
                    }
                    continue;
                };
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // Whoever goes away in the middle of an exchange harms only himself.
                    let _ = converse(&shared, stream, peer).await;
                    drop(place);
                });
            }
            Err(error) => {
                shared.log.warning("accept-failed", &[("why", &error)]);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers one connection's requests, one after the other.
async fn converse(shared: &Shared, mut stream: TcpStream, peer: SocketAddr) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (from, own) = (peer.ip().to_canonical(), stream.local_addr()?.ip());
    let mut unread: Vec<u8> = Vec::new();
    let mut answers: Vec<u8> = Vec::new();
    let mut deadline = Instant::now() + EXCHANGE;
    loop {
        let mut keep_alive = true;
        loop {
            match Head::decode(&unread) {
                Ok(Some((head, taken))) => {
                    keep_alive = head.keep_alive;
                    answer(shared, from, own, head, &mut answers).await;
                    unread.drain(..taken);
                    if !keep_alive || answers.len() > ANSWERS_BYTES_MAX {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    keep_alive = false;
                    put_refusal(shared, &error, &mut answers);
                    break;
                }
            }
        }
        if !answers.is_empty() {
            timeout_at(Instant::now() + EXCHANGE, stream.write_all(&answers)).await??;
            answers.clear();
            // A connection at rest holds no memory.
            answers.shrink_to(0);
            deadline = Instant::now() + if unread.is_empty() { IDLE } else { EXCHANGE };
        }
        if !keep_alive {
            return stream.shutdown().await;
        }
        if read_more(&stream, &mut unread, deadline).await? == 0 {
            return Ok(());
        }
        deadline = deadline.min(Instant::now() + EXCHANGE);
    }
}

/// Reads what is there into the connection's own memory, which is none while it rests.
async fn read_more(stream: &TcpStream, unread: &mut Vec<u8>, deadline: Instant) -> std::io::Result<usize> {
    if unread.is_empty() {
        unread.shrink_to(0);
    }
    loop {
        let mut buffer = [0; 2048];
        match stream.try_read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
            Ok(count) => {
                unread.extend_from_slice(&buffer[..count]);
                return Ok(count);
            }
        }
        timeout_at(deadline, stream.readable()).await??;
    }
}

async fn answer(shared: &Shared, from: IpAddr, own: IpAddr, head: Head, out: &mut Vec<u8>) {
    let mut body = Vec::with_capacity(512);
    let mut status = "200 OK";
    match head.request {
        Ok(Request::Announce(announce)) => {
            Counters::count(&shared.counters.http_announces);
            answer_announce(shared, from, &announce, &mut body).await;
        }
        Ok(Request::Scrape(hashes)) => {
            Counters::count(&shared.counters.scrapes);
            match shared.scrape(from, Some(own), &hashes) {
                Some(entries) => http::put_scrape_reply(&mut body, &entries),
                None => http::put_failure(&mut body, &Refusal::UnknownHost { ip: from }.to_string()),
            }
        }
        Ok(Request::Other { path }) if path == "/metrics" => body = metrics::text(shared).into_bytes(),
        Ok(Request::Other { .. }) => {
            status = "404 Not Found";
            body.extend_from_slice(b"there are /announce, /scrape and /metrics\n");
        }
        Err(error) => {
            Counters::count(&shared.counters.malformed);
            http::put_failure(&mut body, &error.to_string());
        }
    }
    http::put_head(out, status, body.len(), head.keep_alive);
    out.extend_from_slice(&body);
}

async fn answer_announce(shared: &Shared, from: IpAddr, announce: &Announce, body: &mut Vec<u8>) {
    let mut outcome = shared.announce(from, announce);
    if matches!(outcome, Err(Refusal::UnknownHost { .. } | Refusal::NotInstalling { .. })) {
        // It may have been told to install only now.
        shared.picture.fresh().await;
        outcome = shared.announce(from, announce);
    }
    shared.note(from, announce, &outcome);
    match outcome {
        Ok(mut reply) => {
            if announce.no_peer_id {
                reply.peers.iter_mut().for_each(|peer| peer.peer_id = None);
            }
            http::put_announce_reply(body, &reply, announce.compact);
        }
        Err(refusal) => http::put_failure(body, &refusal.to_string()),
    }
}

/// What is not HTTP gets an answer all the same, then the connection ends.
fn put_refusal(shared: &Shared, error: &WireError, out: &mut Vec<u8>) {
    Counters::count(&shared.counters.malformed);
    let text = format!("{error}\n");
    http::put_head(out, "400 Bad Request", text.len(), false);
    out.extend_from_slice(text.as_bytes());
}
