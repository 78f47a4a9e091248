//! The client: asks one origin, keeps its connections, hands the body out as it comes.
//!
//! A kept connection that turns out dead before the first byte of an answer is replaced once, silently, so that a
//! request may come twice to whoever is asked (not so by [`Client::send_once`]); every other failure is told. Nothing is
//! retried here: who asks knows whether another source is left.

use super::answer::{Answer, AnswerHead, HEAD_BYTES_MAX, READ_BYTES, WHOLE_BYTES_MAX};
use super::packed::{GZIP, unpacked};
use super::stream::{self, Stream};
use crate::net::NetError;
use crate::net::rate::Bucket;
use bytes::{Buf, Bytes, BytesMut};
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection may take to come up.
pub const CONNECT_SECS_MAX: u64 = 5;
/// How long an answer may take to begin, and its body to go on, unless the question says otherwise.
pub const STALL_SECS_MAX: u64 = 20;
/// How long a document may stand still whose head is there: no work of the frontend's is left to wait for.
const DOCUMENT_STALL: Duration = Duration::from_secs(8);
/// Heads of no answer that may come before the answer's.
const INTERIM_MAX: usize = 16;
/// Connections kept for one origin.
const KEPT_MAX: usize = 8;

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
    // Capitals mean nothing in a name.
    good.then(|| (host.to_ascii_lowercase(), port))
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

    /// The rate at which bodies are taken.
    pub(super) fn download(&self) -> Option<&Bucket> {
        self.download.as_deref()
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, stream: Stream) {
        let mut kept = self.kept.lock().expect("nobody panics while holding the connections");
        if kept.len() < KEPT_MAX {
            kept.push(stream);
        }
    }

    /// Who is asked.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Asks for a path; `headers` are sent beside `Host`.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Answer<'_>, NetError> {
        self.send("GET", path, headers, None).await
    }

    /// Sends a body: JSON, unless the headers say something else.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Answer<'_>, NetError> {
        self.send("POST", path, headers, Some(body)).await
    }

    /// Asks for a path and takes a good answer's body whole; an answer other than 200 is an error.
    pub async fn get_whole(&self, path: &str, headers: &[(&str, &str)]) -> Result<Bytes, NetError> {
        self.good(path, self.get(path, headers).await?).await
    }

    /// As [`Self::get_whole`], of a document that may come packed.
    pub async fn get_document(&self, path: &str) -> Result<Bytes, NetError> {
        let answer = self.get(path, &[("Accept-Encoding", GZIP)]).await?;
        self.document(path, answer).await
    }

    /// The same with its `ETag`; none where it still has this one.
    pub async fn get_newer(&self, path: &str, tag: Option<&str>) -> Result<Option<(Bytes, Option<String>)>, NetError> {
        let fields = [("Accept-Encoding", GZIP), ("If-None-Match", tag.unwrap_or_default())];
        let answer = self.get(path, &fields[..1 + usize::from(tag.is_some())]).await?;
        if tag.is_some() && answer.status == 304 {
            return answer.whole().await.map(|_| None);
        }
        let tag = answer.headers.get("etag").map(str::to_owned);
        Ok(Some((self.document(path, answer).await?, tag)))
    }

    async fn document(&self, path: &str, answer: Answer<'_>) -> Result<Bytes, NetError> {
        let is_packed = answer.headers.get("content-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case(GZIP));
        let bytes = self.good(path, answer).await?;
        if !is_packed {
            return Ok(bytes);
        }
        unpacked(&bytes, WHOLE_BYTES_MAX)
            .ok_or_else(|| NetError::Exchange { url: self.url(path), why: "its gzip cannot be read".to_owned() })
    }

    /// Posts nothing, and takes a good answer's body whole, as [`Self::get_whole`] does.
    pub async fn post_whole(&self, path: &str) -> Result<Bytes, NetError> {
        self.good(path, self.post(path, &[], Bytes::new()).await?).await
    }

    async fn good(&self, path: &str, mut answer: Answer<'_>) -> Result<Bytes, NetError> {
        answer.set_stall(self.stall.min(DOCUMENT_STALL));
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

    /// What an error says of a request. What stands behind a question mark may be a key.
    fn url(&self, path: &str) -> String {
        format!("{}{}", self.origin, path.split('?').next().unwrap_or_default())
    }

    /// Sends a request and reads the head of its answer.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Bytes>,
    ) -> Result<Answer<'_>, NetError> {
        self.send_within(self.stall, method, path, headers, body).await
    }

    /// As [`Client::send`], with an answer that may stand still for so long and no longer than the client allows.
    pub async fn send_within(
        &self,
        stall: Duration,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Bytes>,
    ) -> Result<Answer<'_>, NetError> {
        let stall = stall.min(self.stall);
        let bytes = self.request(method, path, headers, body);
        let kept = self.kept.lock().expect("nobody panics while holding the connections").pop();
        if let Some(stream) = kept {
            match self.exchange(stream, stall, method, &bytes).await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    // The other end may have gone without a word: then all of its connections are dead.
                    self.kept.lock().expect("nobody panics while holding the connections").clear();
                    return Err(self.failed(path, &error));
                }
                Err(_) => {}
            }
        }
        self.exchange_anew(stall, method, path, &bytes).await
    }

    /// As [`Self::send_within`], over a connection of its own: of a kept one that is dead nobody can say whether the other end
    /// had taken in what was sent.
    pub async fn send_once(
        &self,
        stall: Duration,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Bytes>,
    ) -> Result<Answer<'_>, NetError> {
        let bytes = self.request(method, path, headers, body);
        self.exchange_anew(stall.min(self.stall), method, path, &bytes).await
    }

    async fn exchange_anew(
        &self,
        stall: Duration,
        method: &str,
        path: &str,
        request: &[u8],
    ) -> Result<Answer<'_>, NetError> {
        let stream = self.connect(stall).await?;
        self.exchange(stream, stall, method, request).await.map_err(|error| self.failed(path, &error))
    }

    fn failed(&self, path: &str, error: &Error) -> NetError {
        NetError::Exchange { url: self.url(path), why: reason(error) }
    }

    /// The bytes of a request.
    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Bytes>) -> Vec<u8> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.origin.authority());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(token) = &*self.token.lock().expect("nobody panics while holding the token") {
            request.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        if let Some(body) = &body {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                request.push_str("Content-Type: application/json\r\n");
            }
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(&body.unwrap_or_default());
        bytes
    }

    /// A bare connection to the origin, for whoever speaks over it himself.
    pub(in crate::net) async fn tcp(&self, stall: Duration) -> Result<TcpStream, NetError> {
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
        let limit = Duration::from_secs(CONNECT_SECS_MAX).min(stall);
        timeout(limit, connecting).await.map_err(|_| failed(ErrorKind::TimedOut.into()))?.map_err(failed)
    }

    async fn connect(&self, stall: Duration) -> Result<Stream, NetError> {
        let failed = |source: Error| NetError::Connect { address: self.origin.authority(), source };
        let limit = Duration::from_secs(CONNECT_SECS_MAX).min(stall);
        let tcp = self.tcp(stall).await?;
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

    async fn exchange(
        &self,
        mut stream: Stream,
        stall: Duration,
        method: &str,
        request: &[u8],
    ) -> std::io::Result<Answer<'_>> {
        within(stall, stream.write_all(request)).await?;
        within(stall, stream.flush()).await?;
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        let mut interim = 0;
        loop {
            let read = within(stall, stream.read_buf(&mut buffer)).await?;
            if read == 0 {
                return Err(Error::new(ErrorKind::UnexpectedEof, "the connection ended before an answer"));
            }
            while let Some((head, length)) = AnswerHead::decode(&buffer)? {
                buffer.advance(length);
                // 100 Continue and its like come before the answer.
                if head.status >= 200 {
                    return Answer::new(self, stall, method, head, stream, buffer);
                }
                interim += 1;
                if interim > INTERIM_MAX {
                    return Err(Error::new(ErrorKind::InvalidData, "the answer does not begin"));
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

pub(super) fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::TimedOut => "no byte came for too long".to_owned(),
        ErrorKind::ConnectionReset => "the connection was reset".to_owned(),
        _ => error.to_string(),
    }
}

pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    timeout(limit, work).await.map_err(|_| Error::from(ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests {
    use super::super::response::{Response, Segment};
    use super::super::{Request, Service, server};
    use super::*;
    use crate::net::log::Log;
    use proptest::prelude::*;
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
        let options = server::Options { upload, has_threads: false, tls: None, log: Log::silent(), stop: stopped };
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
        let (origin, _) = Origin::parse("http://LOCALHOST:7180/").expect("a URL");
        assert_eq!((origin.host.as_str(), origin.port), ("localhost", 7180));
        for url in ["ftp://x", "http://", "http://a:b", "http://a b/", "http://a/x y", "10.1.1.1"] {
            assert!(Origin::parse(url).is_err(), "{url}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_url_or_one_that_is_written_as_it_is_read(url in "(https?://)?[ -~]{0,30}", any in ".{0,20}") {
            for url in [url, format!("http://{any}")] {
                let Ok((origin, path)) = Origin::parse(&url) else { continue };
                prop_assert!(path.starts_with('/') && !path.contains(|c: char| c.is_ascii_control() || c == ' '));
                prop_assert_eq!(Origin::parse(&format!("{origin}{path}")).ok(), Some((origin, path)), "{}", url);
            }
        }
    }
}
