//! The client: asks one origin, keeps its connections, hands the body out as it comes.
//!
//! A kept connection that turns out dead before the first byte of an answer is replaced once, silently; every other
//! failure is told. Nothing is retried here: who asks knows whether another source is left.

use super::head::Headers;
use super::stream::{self, Stream};
use crate::net::NetError;
use crate::net::rate::Bucket;
use bytes::{Buf, Bytes, BytesMut};
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How long a connection may take to come up.
pub const CONNECT_SECS_MAX: u64 = 5;
/// How long an answer may take to begin, and its body to go on.
pub const STALL_SECS_MAX: u64 = 20;
/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// The longest answer that is taken whole into memory.
const WHOLE_BYTES_MAX: u64 = 64 << 20;
/// Connections kept for one origin.
const KEPT_MAX: usize = 8;
/// What is read from a socket at a time, and booked at the rate.
const READ_BYTES: usize = 16 << 10;

/// `http://HOST[:PORT]` or `https://...`: who is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Whether it is asked over TLS.
    pub is_secure: bool,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Origin {
    /// Splits a URL into its origin and the rest, which begins with a slash.
    pub fn parse(url: &str) -> Result<(Self, String), NetError> {
        let bad = |why| NetError::Url { url: url.to_owned(), why };
        let (is_secure, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(bad("does not begin with http:// or https://")),
        };
        let (authority, path) = rest.find(['/', '?']).map_or((rest, "/"), |at| rest.split_at(at));
        let (host, port) =
            split_authority(authority, if is_secure { 443 } else { 80 }).ok_or(bad("has no valid host and port"))?;
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        if path.bytes().any(|b| b.is_ascii_control() || b == b' ') {
            return Err(bad("has a blank or a control character"));
        }
        Ok((Self { is_secure, host, port }, path))
    }

    /// `host:port`, the port left out where it is the usual one.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.is_secure, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", if self.is_secure { "https" } else { "http" }, self.authority())
    }
}

/// Splits `host:port`, `host`, `[v6]:port`.
fn split_authority(text: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, rest.strip_prefix(':'))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
    let good = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
    good.then(|| (host.to_owned(), port))
}

/// Asks one origin.
pub struct Client {
    origin: Origin,
    bind: Option<IpAddr>,
    download: Option<Arc<Bucket>>,
    tls: Option<tokio_rustls::TlsConnector>,
    stall: Duration,
    kept: Mutex<Vec<Stream>>,
    /// Sent with each request as `Authorization: Bearer`.
    token: Mutex<Option<String>>,
}

impl Client {
    /// A client of this origin that connects from `bind`.
    pub fn new(origin: Origin, bind: Option<IpAddr>) -> Self {
        let stall = Duration::from_secs(STALL_SECS_MAX);
        Self { origin, bind, download: None, tls: None, stall, kept: Mutex::default(), token: Mutex::default() }
    }

    /// Takes bodies at this rate.
    pub fn with_download(mut self, bucket: Option<Arc<Bucket>>) -> Self {
        self.download = bucket;
        self
    }

    /// Speaks TLS with this configuration to an `https` origin.
    pub fn with_tls(mut self, config: Option<Arc<rustls::ClientConfig>>) -> Self {
        self.tls = config.map(Into::into);
        self
    }

    /// Gives up on an answer that stands still for so long.
    pub fn with_stall(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }

    /// From now on this token goes with each request.
    pub fn set_token(&self, token: Option<String>) {
        *self.token.lock().expect("nobody panics while holding the token") = token.filter(|token| is_token(token));
    }

    /// Who is asked.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Asks for a path; `headers` are sent beside `Host`.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Answer<'_>, NetError> {
        self.send("GET", path, headers, None).await
    }

    /// Sends JSON.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Answer<'_>, NetError> {
        self.send("POST", path, headers, Some(body)).await
    }

    /// Asks for a path and takes a good answer's body whole; an answer other than 200 is an error.
    pub async fn get_whole(&self, path: &str, headers: &[(&str, &str)]) -> Result<Bytes, NetError> {
        let answer = self.get(path, headers).await?;
        let status = answer.status;
        let url = self.url(path);
        let body = answer.whole().await?;
        if status == 200 {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body);
        let message = text.lines().next().unwrap_or_default().chars().take(300).collect();
        Err(NetError::Status { url, status, message })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Sends a request and reads the head of its answer.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Bytes>,
    ) -> Result<Answer<'_>, NetError> {
        let failed = |error: Error| NetError::Exchange { url: self.url(path), why: reason(&error) };
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.origin.authority());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(token) = &*self.token.lock().expect("nobody panics while holding the token") {
            request.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        if let Some(body) = &body {
            request.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(&body.unwrap_or_default());

        let kept = self.kept.lock().expect("nobody panics while holding the connections").pop();
        if let Some(stream) = kept
            && let Ok(answer) = self.exchange(stream, method, &bytes).await
        {
            return Ok(answer);
        }
        let stream = self.connect().await?;
        self.exchange(stream, method, &bytes).await.map_err(failed)
    }

    async fn connect(&self) -> Result<Stream, NetError> {
        let failed = |source: Error| NetError::Connect { address: self.origin.authority(), source };
        let connecting = async {
            let addresses = resolve(&self.origin.host, self.origin.port).await?;
            let mut last = Error::new(ErrorKind::NotFound, "no address");
            for address in addresses {
                match stream::connect(address, self.bind).await {
                    Ok(tcp) => return Ok(tcp),
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        let limit = Duration::from_secs(CONNECT_SECS_MAX);
        let tcp = timeout(limit, connecting).await.map_err(|_| failed(ErrorKind::TimedOut.into()))?.map_err(failed)?;
        if !self.origin.is_secure {
            return Ok(Stream::Plain(tcp));
        }
        let tls =
            self.tls.as_ref().ok_or_else(|| failed(Error::other("no certificate authority is known for https")))?;
        let name = rustls::pki_types::ServerName::try_from(self.origin.host.clone())
            .map_err(|_| failed(Error::other("the host's name cannot stand in a certificate")))?;
        let shaken = timeout(limit, tls.connect(name, tcp)).await;
        let shaken = shaken.map_err(|_| failed(ErrorKind::TimedOut.into()))?.map_err(failed)?;
        Ok(Stream::Tls(Box::new(shaken.into())))
    }

    async fn exchange(&self, mut stream: Stream, method: &str, request: &[u8]) -> std::io::Result<Answer<'_>> {
        within(self.stall, stream.write_all(request)).await?;
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        loop {
            let read = within(self.stall, stream.read_buf(&mut buffer)).await?;
            if read == 0 {
                return Err(Error::new(ErrorKind::UnexpectedEof, "the connection ended before an answer"));
            }
            while let Some((head, length)) = AnswerHead::decode(&buffer)? {
                buffer.advance(length);
                // 100 Continue and its like come before the answer.
                if head.status >= 200 {
                    let body = head.body(method)?;
                    let AnswerHead { status, headers, keeps_alive } = head;
                    return Ok(Answer {
                        status,
                        headers,
                        keeps_alive,
                        body,
                        stream: Some(stream),
                        buffer,
                        client: self,
                    });
                }
            }
            if buffer.len() >= HEAD_BYTES_MAX {
                return Err(Error::new(ErrorKind::InvalidData, "the answer's head is too long"));
            }
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.origin)
    }
}

/// Whether a text can stand in a header as a token.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b))
}

/// The addresses of a name; a literal address needs no resolver.
async fn resolve(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    Ok(tokio::net::lookup_host((host, port)).await?.take(8).collect())
}

fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::TimedOut => "no byte came for too long".to_owned(),
        ErrorKind::ConnectionReset => "the connection was reset".to_owned(),
        _ => error.to_string(),
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    timeout(limit, work).await.map_err(|_| Error::from(ErrorKind::TimedOut))?
}

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

struct AnswerHead {
    status: u16,
    headers: Headers,
    keeps_alive: bool,
}

impl AnswerHead {
    fn decode(bytes: &[u8]) -> std::io::Result<Option<(Self, usize)>> {
        let bad = |why: &'static str| Error::new(ErrorKind::InvalidData, why);
        let mut fields = [httparse::EMPTY_HEADER; super::head::FIELDS_MAX];
        let length = match httparse::Response::new(&mut fields).parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            _ => return Err(bad("the answer is not HTTP")),
        };
        let raw = Bytes::copy_from_slice(&bytes[..length]);
        let mut fields = [httparse::EMPTY_HEADER; super::head::FIELDS_MAX];
        let mut parser = httparse::Response::new(&mut fields);
        let _ = parser.parse(&raw);
        let status = parser.code.ok_or(bad("the answer has no status"))?;
        let headers = Headers::locate(&raw, parser.headers);
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
}

impl Answer<'_> {
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
        let origin = self.client.origin.to_string();
        self.advance().await.map_err(|error| NetError::Exchange { url: origin, why: reason(&error) })
    }

    /// The whole body.
    pub async fn whole(mut self) -> Result<Bytes, NetError> {
        let too_long =
            || NetError::Exchange { url: self.client.origin.to_string(), why: "the answer is too long".into() };
        if self.length_bytes().is_some_and(|length| length > WHOLE_BYTES_MAX) {
            return Err(too_long());
        }
        let mut whole = BytesMut::new();
        while let Some(bytes) = self.next().await? {
            whole.extend_from_slice(&bytes);
            if whole.len() as u64 > WHOLE_BYTES_MAX {
                return Err(NetError::Exchange {
                    url: self.client.origin.to_string(),
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

    /// Some bytes of the body, at the rate; none where the connection ended.
    async fn read(&mut self, most: u64) -> std::io::Result<Option<Bytes>> {
        if self.buffer.is_empty() {
            let stream = self.stream.as_mut().ok_or_else(ended)?;
            self.buffer.reserve(READ_BYTES);
            if within(self.client.stall, stream.read_buf(&mut self.buffer)).await? == 0 {
                return Ok(None);
            }
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.buffer.len());
        let bytes = self.buffer.split_to(most).freeze();
        if let Some(bucket) = &self.client.download {
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
        let length = u64::from_str_radix(text, 16).map_err(|_| bad())?;
        if length == 0 {
            while !self.line().await?.is_empty() {}
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
            let stream = self.stream.as_mut().ok_or_else(ended)?;
            self.buffer.reserve(READ_BYTES);
            if within(self.client.stall, stream.read_buf(&mut self.buffer)).await? == 0 {
                return Err(ended());
            }
        }
    }

    /// Gives the connection back for the next request.
    fn keep(&mut self) {
        let Some(stream) = self.stream.take() else { return };
        let mut kept = self.client.kept.lock().expect("nobody panics while holding the connections");
        if self.keeps_alive && self.buffer.is_empty() && kept.len() < KEPT_MAX {
            kept.push(stream);
        }
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::UnexpectedEof, "the answer ended early")
}

#[cfg(test)]
mod tests {
    use super::super::response::{Response, Segment};
    use super::super::{Request, Service, server};
    use super::*;
    use crate::net::log::Log;
    use std::io::Write;
    use tokio::sync::{mpsc, watch};

    struct Echo(std::sync::Arc<std::fs::File>);

    impl Service for Echo {
        async fn call(&self, request: Request) -> Response {
            let file =
                |offset, length_bytes| super::super::FileSlice { file: Arc::clone(&self.0), offset, length_bytes };
            match request.head.target.path.as_str() {
                "/file" => Response::file(200, "application/x-rpm", file(1, 199_999)),
                "/chunks" | "/short" => {
                    let (sender, receiver) = mpsc::channel(4);
                    tokio::spawn(async move {
                        for part in ["one ", "", "two ", "three"] {
                            let _ = sender.send(Segment::Bytes(Bytes::from_static(part.as_bytes()))).await;
                        }
                    });
                    let length = (request.head.target.path == "/short").then_some(14);
                    Response::stream(200, length, receiver)
                }
                "/body" => Response::new(200, "x", request.body),
                _ => Response::text(404, "nothing here"),
            }
        }
    }

    /// A server of a file of 200,000 known bytes, with its client.
    fn serve(rate: Option<u64>) -> (Client, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&(0..200_000u32).map(|i| i as u8).collect::<Vec<_>>()).expect("written");
        let (stop, stopped) = watch::channel(false);
        let listener = server::listen("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let address = listener.local_addr().expect("bound");
        let upload = rate.map(|rate| Arc::new(Bucket::new(rate)));
        let options = server::Options { upload, tls: None, log: Log::silent(), stop: stopped };
        let task = tokio::spawn(server::serve(listener, Arc::new(Echo(Arc::new(file))), options));
        let (origin, _) = Origin::parse(&format!("http://{address}")).expect("a URL");
        (Client::new(origin, None), stop, task)
    }

    #[tokio::test]
    async fn bodies_of_every_kind_arrive_over_one_kept_connection() {
        let (client, stop, task) = serve(None);
        for _ in 0..2 {
            let body = client.get_whole("/file", &[]).await.expect("the file");
            assert!(body.len() == 199_999 && body.iter().enumerate().all(|(i, b)| *b == (i + 1) as u8));
            assert_eq!(client.get_whole("/chunks", &[]).await.expect("chunks"), "one two three");
            let posted = client.post("/body", &[], Bytes::from_static(b"{}")).await.expect("posted");
            assert_eq!(posted.whole().await.expect("echoed"), "{}");
            let head = client.send("HEAD", "/file", &[], None).await.expect("a head");
            assert_eq!(
                (head.headers.number("content-length"), head.whole().await.expect("empty").len()),
                (Some(199_999), 0)
            );
            assert_eq!(client.kept.lock().expect("one thread").len(), 1);
        }
        let error = client.get_whole("/none", &[]).await.expect_err("not found");
        assert!(error.to_string().ends_with("answered 404: nothing here"), "{error}");
        stop.send_replace(true);
        task.await.expect("the server ends");
        assert!(matches!(client.get("/file", &[]).await, Err(NetError::Connect { .. })));
    }

    #[tokio::test]
    async fn a_body_that_ends_early_is_an_error() {
        let (client, _stop, _task) = serve(None);
        let error = client.get_whole("/short", &[]).await.expect_err("13 of 14 bytes");
        assert!(error.to_string().contains("ended early"), "{error}");
    }

    #[tokio::test]
    async fn a_paced_server_sends_the_same_bytes() {
        let (client, _stop, _task) = serve(Some(50_000_000));
        assert_eq!(client.get_whole("/file", &[]).await.expect("the file").len(), 199_999);
    }

    #[test]
    fn urls_are_split() {
        let (origin, path) = Origin::parse("http://10.1.1.1/install?x").expect("a URL");
        assert_eq!((origin.to_string().as_str(), origin.port, path.as_str()), ("http://10.1.1.1", 80, "/install?x"));
        let (origin, path) = Origin::parse("https://[fd00::1]:8443").expect("a URL");
        assert_eq!((origin.to_string().as_str(), path.as_str()), ("https://[fd00::1]:8443", "/"));
        for url in ["ftp://x", "http://", "http://a:b", "http://a b/", "http://a/x y", "10.1.1.1"] {
            assert!(Origin::parse(url).is_err(), "{url}");
        }
    }
}
