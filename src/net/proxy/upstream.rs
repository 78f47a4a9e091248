//! What passes through: asked for again while an error may go away, resumed where it breaks off.

use super::UNKNOWN_FILE_RETRY;
use super::ladder::{Ladder, Step};
use crate::net::NetError;
use crate::net::http::client::{Client, Origin};
use crate::net::http::{Answer, Body, Request, Response, Segment};
use crate::net::log::Log;
use bytes::Bytes;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// An answer up to this size is taken whole before it passes, so that one that breaks off is asked for again.
const WHOLE_BYTES_MAX: u64 = 4 << 20;
/// Parts of one answer that wait for the installer.
const PARTS_MAX: usize = 16;
/// How long an answer may stand still that cannot be asked for again.
const STALL_ONLY_CHANCE: Duration = Duration::from_secs(60);

/// Fields of the answer that pass.
const PASSED: [(&str, &str); 10] = [
    ("content-type", "Content-Type"),
    ("etag", "ETag"),
    ("last-modified", "Last-Modified"),
    ("content-range", "Content-Range"),
    ("accept-ranges", "Accept-Ranges"),
    ("location", "Location"),
    ("cache-control", "Cache-Control"),
    ("content-encoding", "Content-Encoding"),
    ("www-authenticate", "WWW-Authenticate"),
    ("retry-after", "Retry-After"),
];
/// Fields of the request that do not pass: they are about this connection.
const KEPT_BACK: [&str; 9] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "upgrade",
    "content-length",
    // The door has waited for the body itself.
    "expect",
];

/// How long it may take until another end answers to a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long nothing is tried after a connection failed.
const CONNECT_PAUSE: Duration = Duration::from_millis(500);

/// A tunnel, as for `https` repositories that the installer asks for through us. What goes through it is between those
/// two; only that it comes about is ours, so it is tried again like anything else.
pub(super) async fn tunnel(authority: Option<&str>, bind: Option<IpAddr>) -> Response {
    let origin = authority.and_then(|authority| Origin::parse(&format!("http://{authority}/")).ok());
    let Some((origin, _)) = origin else { return Response::text(400, "no host to connect to") };
    let (other, begun) = (Client::new(origin, bind), Instant::now());
    loop {
        match other.tcp(CONNECT).await {
            Ok(tcp) => return Response::with_body(200, Body::Tunnel(tcp)),
            Err(error) if begun.elapsed() >= UNKNOWN_FILE_RETRY => return Response::text(502, error),
            Err(_) => tokio::time::sleep(CONNECT_PAUSE).await,
        }
    }
}

/// Passes a request through.
pub(super) async fn pass(
    client: Arc<Client>,
    request: Request,
    headers: Vec<(&'static str, String)>,
    log: Log,
) -> Response {
    if !matches!(request.head.method.as_str(), "GET" | "HEAD" | "POST") {
        return Response::text(501, "only GET, HEAD and POST pass through");
    }
    let (head, answered) = oneshot::channel();
    let passage = Passage { client, request, headers, log };
    tokio::spawn(passage.run(head));
    answered.await.unwrap_or_else(|_| Response::text(502, "the request did not pass"))
}

struct Passage {
    client: Arc<Client>,
    request: Request,
    headers: Vec<(&'static str, String)>,
    log: Log,
}

/// An answer's status and the fields that pass.
struct Head {
    status: u16,
    fields: Vec<(&'static str, String)>,
    length_bytes: Option<u64>,
}

impl Head {
    fn of(answer: &Answer<'_>) -> Self {
        let field = |(name, shown): (&str, &'static str)| Some((shown, answer.headers.get(name)?.to_owned()));
        Self {
            status: answer.status,
            fields: PASSED.into_iter().filter_map(field).collect(),
            length_bytes: answer.length_bytes(),
        }
    }

    fn onto(self, mut response: Response) -> Response {
        response.headers.clear();
        self.fields.into_iter().fold(response, |response, (name, value)| response.with(name, value))
    }
}

impl Passage {
    async fn run(self, mut head: oneshot::Sender<Response>) {
        let begun = Instant::now();
        let may_ask_again = self.request.head.method != "POST";
        let mut ladder = Ladder::new(Duration::ZERO);
        let mut last = None;
        loop {
            let stall = match ladder.step(begun.elapsed(), false) {
                Step::Ask { stall } if may_ask_again => stall,
                Step::Ask { .. } => STALL_ONLY_CHANCE,
                Step::Wait { until } => {
                    tokio::select! {
                        () = tokio::time::sleep_until(begun + until) => continue,
                        () = head.closed() => return,
                    }
                }
                Step::GiveUp => return self.give_up(head, last),
            };
            let stalled_at = Instant::now() + stall;
            match self.attempt(begun, stall).await {
                Ok(Tried::Bare(told, length)) => {
                    let status = told.status;
                    let _ = head.send(told.onto(Response::stream(status, length, mpsc::channel(1).1)));
                    return;
                }
                Ok(Tried::Whole(told, body)) => {
                    let status = told.status;
                    let _ = head.send(told.onto(Response::new(status, "", body)));
                    return;
                }
                Ok(Tried::Long(told, answer)) => return self.stream(told, answer, head).await,
                Err(error) if !may_ask_again => return self.give_up(head, Some(error)),
                Err(error) => last = Some(error),
            }
            ladder.failed(begun.elapsed(), Instant::now() >= stalled_at);
        }
    }

    fn give_up(&self, head: oneshot::Sender<Response>, error: Option<NetError>) {
        let error = error.map_or_else(|| "no answer".to_owned(), |error| error.to_string());
        self.log.warning("upstream-lost", &[("reason", &error)]);
        let _ = head.send(Response::text(504, error));
    }

    fn sent_headers(&self) -> Vec<(&str, &str)> {
        let headers = &self.request.head.headers;
        let kept = |name: &str| {
            KEPT_BACK.iter().any(|kept| name.eq_ignore_ascii_case(kept)) || headers.has_word("connection", name)
        };
        let passed = headers.iter().filter(|(name, _)| !kept(name));
        passed.chain(self.headers.iter().map(|(name, value)| (*name, value.as_str()))).collect()
    }

    /// Asks once. An error that may go away counts as a failure while there is time.
    async fn attempt(&self, begun: Instant, stall: Duration) -> Result<Tried<'_>, NetError> {
        let head = &self.request.head;
        let path = head.target.path_and_query();
        let fields = self.sent_headers();
        // What is posted may do something there each time.
        let answer = match head.method.as_str() {
            "POST" => self.client.send_once(stall, "POST", &path, &fields, Some(self.request.body.clone())).await?,
            method => self.client.send_within(stall, method, &path, &fields, None).await?,
        };
        let status = answer.status;
        let may_go_away = matches!(status, 404 | 408 | 429 | 500..=599) && head.method != "POST";
        if may_go_away && begun.elapsed() < UNKNOWN_FILE_RETRY {
            let file = &head.target.path;
            return Err(NetError::Said(format!("{}{file}: upstream answered {status}", self.client.origin())));
        }
        let told = Head::of(&answer);
        if head.method == "HEAD" {
            // It has no body, and says how long it would be.
            return Ok(Tried::Bare(told, answer.headers.number("content-length")));
        }
        if answer.length_bytes().is_some_and(|length| length <= WHOLE_BYTES_MAX) {
            return Ok(Tried::Whole(told, answer.whole().await?));
        }
        Ok(Tried::Long(told, Box::new(answer)))
    }

    /// Passes a long answer on; where it breaks off, the rest is asked for.
    async fn stream(&self, told: Head, mut answer: Box<Answer<'_>>, head: oneshot::Sender<Response>) {
        let (sender, segments) = mpsc::channel(PARTS_MAX);
        let status = told.status;
        let validator = told.length_bytes.filter(|_| status == 200).and_then(|_| validator(&answer));
        if validator.is_none() {
            answer.set_stall(STALL_ONLY_CHANCE);
        }
        let length = told.length_bytes;
        if head.send(told.onto(Response::stream(status, length, segments))).is_err() {
            return;
        }
        let begun = Instant::now();
        let mut ladder = Ladder::new(Duration::ZERO);
        // What was passed on, and what is to be left out of an answer that began anew.
        let (mut passed, mut skip) = (0, 0);
        loop {
            match answer.next().await {
                Ok(Some(mut bytes)) => {
                    let left_out = (bytes.len() as u64).min(skip);
                    skip -= left_out;
                    let bytes = bytes.split_off(left_out as usize);
                    if !bytes.is_empty() {
                        passed += bytes.len() as u64;
                        ladder.fed(begun.elapsed());
                        if sender.send(Segment::Bytes(bytes)).await.is_err() {
                            return;
                        }
                    }
                    continue;
                }
                Ok(None) => return,
                Err(error) => {
                    if validator.is_none() {
                        self.log.warning("upstream-broke-off", &[("reason", &error)]);
                        return;
                    }
                    ladder.failed(begun.elapsed(), false);
                }
            }
            (answer, skip) = loop {
                let stall = match ladder.step(begun.elapsed(), false) {
                    Step::Ask { stall } => stall,
                    Step::Wait { until } => {
                        tokio::select! {
                            () = tokio::time::sleep_until(begun + until) => continue,
                            () = sender.closed() => return,
                        }
                    }
                    Step::GiveUp => return,
                };
                let stalled_at = Instant::now() + stall;
                match self.resume(passed, stall, validator.as_deref().unwrap_or_default()).await {
                    Resumed::From(at, answer) => {
                        ladder.brought();
                        break (answer, passed - at);
                    }
                    Resumed::Changed => {
                        self.log.warning("upstream-changed", &[("path", &self.request.head.target.path)]);
                        return;
                    }
                    Resumed::NotNow => ladder.failed(begun.elapsed(), Instant::now() >= stalled_at),
                }
            };
        }
    }

    async fn resume(&self, passed: u64, stall: Duration, known: &str) -> Resumed<'_> {
        let range = format!("bytes={passed}-");
        let mut headers: Vec<(&str, &str)> = self.sent_headers();
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("range") && !name.eq_ignore_ascii_case("if-range"));
        headers.extend([("Range", range.as_str()), ("If-Range", known)]);
        let path = self.request.head.target.path_and_query();
        match self.client.send_within(stall, "GET", &path, &headers, None).await {
            Ok(answer) if answer.status == 206 => {
                let range = answer.headers.get("content-range").and_then(crate::net::http::content_range);
                match range {
                    Some((range, _)) if range.start == passed => Resumed::From(passed, Box::new(answer)),
                    _ => Resumed::Changed,
                }
            }
            // A server without ranges begins anew: the same file, where it says so itself.
            Ok(answer) if answer.status == 200 && validator(&answer).as_deref() == Some(known) => {
                Resumed::From(0, Box::new(answer))
            }
            Ok(answer) if answer.status == 200 => Resumed::Changed,
            _ => Resumed::NotNow,
        }
    }
}

/// What tells that a file is still the same: its entity tag, else when it was changed.
fn validator(answer: &Answer<'_>) -> Option<String> {
    let etag = answer.headers.get("etag").filter(|tag| !tag.starts_with("W/"));
    etag.or_else(|| answer.headers.get("last-modified")).map(str::to_owned)
}

/// How one try came out.
enum Tried<'a> {
    Bare(Head, Option<u64>),
    Whole(Head, Bytes),
    Long(Head, Box<Answer<'a>>),
}

/// How the rest of an answer came out.
enum Resumed<'a> {
    /// From this offset on.
    From(u64, Box<Answer<'a>>),
    Changed,
    NotNow,
}
