//! What clients may send that no client of ours does.

use super::client::{Client, Origin};
use super::server::{self, HEAD_BYTES_MAX, Options};
use super::{Request, Response, Service};
use crate::net::log::Log;
use crate::net::rate::Bucket;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// Says what it was asked, and counts.
#[derive(Default)]
struct Echo(AtomicUsize);

impl Service for Echo {
    async fn call(&self, request: Request) -> Response {
        self.0.fetch_add(1, Ordering::SeqCst);
        let body = String::from_utf8_lossy(&request.body).into_owned();
        Response::text(200, format!("<{} {} {body}>", request.head.method, request.head.target.path))
    }
}

struct Bed {
    at: SocketAddr,
    echo: Arc<Echo>,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

impl Bed {
    fn new() -> Self {
        let (stop, stopped) = watch::channel(false);
        let listener = server::listen("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let at = listener.local_addr().expect("bound");
        let options = Options { upload: None, has_threads: true, tls: None, log: Log::silent(), stop: stopped };
        let echo = Arc::new(Echo::default());
        let serving = tokio::spawn(server::serve(listener, Arc::clone(&echo), options));
        Self { at, echo, stop, serving }
    }

    /// Sends these bytes, then no more; all that comes back.
    async fn say(&self, bytes: impl AsRef<[u8]>) -> String {
        let (at, bytes) = (self.at, bytes.as_ref().to_vec());
        let talk = move || {
            let mut tcp = TcpStream::connect(at).expect("it listens");
            // It may have seen enough before all of it was sent.
            let _ = tcp.write_all(&bytes);
            let _ = tcp.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            let _ = tcp.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        };
        tokio::task::spawn_blocking(talk).await.expect("no panic")
    }

    fn asked(&self) -> usize {
        self.echo.0.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_come_together_are_answered_in_their_order() {
    let bed = Bed::new();
    let answers = bed
        .say("GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyzHEAD /c HTTP/1.1\r\n\r\n")
        .await;
    let (a, b) = (answers.find("<GET /a >").expect("first"), answers.find("<POST /b xyz>").expect("second"));
    assert!(a < b && answers.matches("HTTP/1.1 200").count() == 3 && !answers.contains("/c"), "{answers}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_whose_length_is_told_twice_or_in_chunks_hides_no_request() {
    let bed = Bed::new();
    for (fields, status) in [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", 411),
        ("Transfer-Encoding: chunked\r\n", 411),
        ("Transfer-Encoding: identity\r\n", 411),
        ("Transfer-Encoding : chunked\r\n", 400),
        ("Content-Length: 0\r\nContent-Length: 44\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 4, 4\r\n", 400),
        ("Content-Length: 70000\r\n", 413),
        ("Content-Length: 4\r\n Transfer-Encoding: chunked\r\n", 400),
    ] {
        let hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\n\r\n";
        let answer = bed.say(format!("POST /b HTTP/1.1\r\n{fields}\r\n{hidden}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{fields}: {answer}");
        assert!(answer.contains("Connection: close") && answer.matches("HTTP/1.1").count() == 1, "{fields}: {answer}");
    }
    assert_eq!(bed.asked(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_is_refused_and_ends_the_connection() {
    let bed = Bed::new();
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(70));
    let long = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(2 * HEAD_BYTES_MAX));
    for (bytes, status) in [
        ("\x16\x03\x01\x02\x00\x01\x00", 400),
        ("GET /\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\n\r\n", 505),
        ("GET relative HTTP/1.1\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("GET /\0 HTTP/1.1\r\n\r\n", 400),
        (&many, 431),
        (&long, 431),
    ] {
        let answer = bed.say(bytes).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{}: {answer}", &bytes[..bytes.len().min(30)]);
        assert!(answer.contains("Connection: close"), "{answer}");
    }
    assert_eq!(bed.asked(), 0);
    for unfinished in ["", "GET / HT", "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc"] {
        assert_eq!(bed.say(unfinished).await, "", "half a request has no answer");
    }
    let old = bed.say("GET /old HTTP/1.0\r\n\r\nGET /second HTTP/1.0\r\n\r\n").await;
    assert!(old.contains("<GET /old >") && !old.contains("second"), "HTTP/1.0 ends after one answer: {old}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_before_it_was_read_has_its_answer_all_the_same() {
    let bed = Bed::new();
    for (head, status) in [
        ("POST /b HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", 413),
        ("POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        ("PRI * HTTP/2.0\r\n\r\n", 505),
    ] {
        let at = bed.at;
        let talk = move || {
            let mut tcp = TcpStream::connect(at).expect("it listens");
            tcp.write_all(&[head.as_bytes(), &[b'x'; 70_000]].concat()).expect("it is read past");
            let mut answer = String::new();
            tcp.read_to_string(&mut answer).map(|_| answer)
        };
        let answer = tokio::task::spawn_blocking(talk).await.expect("no panic").expect("no reset");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_knows_what_it_is_is_told_to_continue() {
    let bed = Bed::new();
    let post = |version: &str| format!("POST /b HTTP/{version}\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    for (version, told) in [("1.1", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"), ("1.0", "HTTP/1.1 200")] {
        let (at, head) = (bed.at, post(version));
        let talk = move || {
            let mut tcp = TcpStream::connect(at).expect("it listens");
            tcp.write_all(head.as_bytes()).expect("it is read");
            let mut answer = vec![0; 25];
            if head.contains("1.1") {
                tcp.read_exact(&mut answer).expect("it is to continue");
            } else {
                answer.clear();
            }
            tcp.write_all(b"xyz").expect("it is read");
            let _ = tcp.shutdown(Shutdown::Write);
            tcp.read_to_end(&mut answer).expect("an answer");
            String::from_utf8_lossy(&answer).into_owned()
        };
        let answer = tokio::task::spawn_blocking(talk).await.expect("no panic");
        assert!(answer.starts_with(told) && answer.contains("<POST /b xyz>"), "{version}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resting_and_unfinished_connections_do_not_delay_the_end() {
    let bed = Bed::new();
    let mut held: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(bed.at).expect("it listens")).collect();
    for (n, tcp) in held.iter_mut().enumerate() {
        let _ = tcp.write_all(["", "GET / HTTP/1.1\r\nx", "GET / HTTP/1.1\r\n\r\n"][n % 3].as_bytes());
    }
    while bed.asked() < 16 {
        tokio::task::yield_now().await;
    }
    bed.stop.send_replace(true);
    bed.serving.await.expect("it ends while clients are there still");
    let ended = tokio::task::spawn_blocking(move || {
        held.into_iter().all(|mut tcp| {
            let mut rest = Vec::new();
            tcp.read_to_end(&mut rest).is_ok() || rest.is_empty()
        })
    });
    assert!(ended.await.expect("no panic"), "every connection was closed");
}

/// Answers with so many bytes.
struct Long(usize);

impl Service for Long {
    async fn call(&self, _: Request) -> Response {
        Response::new(200, "text/plain", vec![b'x'; self.0])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_an_answer_over_tls_comes_to_who_reads_slowly() {
    const BYTES: usize = 1 << 20;
    let folder = tempfile::tempdir().expect("a folder");
    let keys = crate::trust::Keys::open_or_create(folder.path(), crate::net::since_1970()).expect("keys");
    let listener = server::listen("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let at = listener.local_addr().expect("bound");
    // Its connections have as much: the last of it finds no room in the kernel.
    socket2::SockRef::from(&listener).set_send_buffer_size(16 << 10).expect("a short queue");
    let tls = Some(crate::net::tls::acceptor(&keys, at).expect("TLS"));
    let (stop, stopped) = watch::channel(false);
    let options = Options { upload: None, has_threads: true, tls, log: Log::silent(), stop: stopped };
    let serving = tokio::spawn(server::serve(listener, Arc::new(Long(BYTES)), options));
    let (origin, _) = Origin::parse(&format!("https://{at}/")).expect("a URL");
    let config = crate::net::tls::Believer::new(None).config().expect("a configuration");
    let slow = Some(Arc::new(Bucket::new(4 << 20)));
    let client = Client::new(origin, None).with_tls(Some(config)).with_download(slow);
    assert_eq!(client.get_whole("/", &[]).await.expect("all of it").len(), BYTES);
    stop.send(true).expect("it serves");
    serving.await.expect("it ends");
}
