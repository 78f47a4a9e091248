//! Bodies as they come: by each way of telling their end, cut in any way, to the client and to the server.

use super::answer::AnswerHead;
use super::client::{Client, Origin};
use super::server::{self, Options};
use super::{Request, Response, Service};
use crate::net::NetError;
use crate::net::log::Log;
use bytes::Bytes;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// How the end of an answer's body is told.
#[derive(Debug, Clone)]
enum Told {
    Length,
    /// In chunks of at most these lengths, with a word behind each length and fields behind the last chunk.
    Chunks(Vec<usize>, String, usize),
    Close,
}

fn told() -> impl Strategy<Value = Told> {
    let chunks = (prop::collection::vec(1..5000_usize, 1..6), "(;[a-z]{0,9}| )?", 0..4_usize);
    prop_oneof![
        Just(Told::Length),
        chunks.prop_map(|(lengths, word, fields)| Told::Chunks(lengths, word, fields)),
        Just(Told::Close),
    ]
}

impl Told {
    /// The answer's head and its body, as they stand on the wire.
    fn encode(&self, body: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let head = |field: &str| format!("HTTP/1.1 200 OK\r\nServer: x\r\n{field}\r\n").into_bytes();
        match self {
            Self::Length => (head(&format!("Content-Length: {}\r\n", body.len())), body.to_vec()),
            Self::Close => (head(""), body.to_vec()),
            Self::Chunks(lengths, word, fields) => {
                let (mut rest, mut out) = (body, Vec::new());
                for length in lengths.iter().cycle() {
                    let (chunk, later) = rest.split_at((*length).min(rest.len()));
                    write!(out, "{:X}{word}\r\n", chunk.len()).expect("memory takes it");
                    if chunk.is_empty() {
                        break;
                    }
                    out.extend_from_slice(chunk);
                    out.extend_from_slice(b"\r\n");
                    rest = later;
                }
                out.extend("X-Field: y\r\n".repeat(*fields).bytes());
                out.extend_from_slice(b"\r\n");
                (head("Transfer-Encoding: chunked\r\n"), out)
            }
        }
    }
}

/// Writes these bytes in pieces of these lengths, over and over.
fn write_cut(tcp: &mut TcpStream, mut bytes: &[u8], cuts: &[usize]) {
    tcp.set_nodelay(true).expect("a socket");
    for cut in cuts.iter().chain(std::iter::repeat(&usize::MAX)) {
        let (now, later) = bytes.split_at((*cut).min(bytes.len()));
        // Whoever has seen enough may have gone.
        if now.is_empty() || tcp.write_all(now).is_err() {
            break;
        }
        bytes = later;
    }
    let _ = tcp.shutdown(Shutdown::Write);
}

/// What a client takes for the body of an answer that comes so.
fn taken(answer: Vec<u8>, cuts: Vec<usize>) -> Result<Bytes, NetError> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    let answering = std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().expect("somebody asks");
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut some = [0; 512];
            let count = tcp.read(&mut some).expect("a request");
            asked.extend_from_slice(&some[..count]);
        }
        write_cut(&mut tcp, &answer, &cuts);
        // It is open until its client closes: nobody loses what it has not read.
        let _ = tcp.read(&mut [0; 1]);
    });
    let (origin, _) = Origin::parse(&format!("http://{at}/")).expect("an origin");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let body = runtime.block_on(Client::new(origin, None).get_whole("/x", &[]));
    drop(runtime);
    answering.join().expect("no panic");
    body
}

#[test]
fn answers_that_do_not_begin_or_end_as_they_should_are_errors() {
    let with = |field: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n{body}");
    let chunks = |body: &str| with("Transfer-Encoding: chunked", body);
    for (answer, why) in [
        ("HTTP/1.1 100 Continue\r\n\r\n".repeat(100), "does not begin"),
        (format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(64 << 10)), "head is too long"),
        (with("Content-Length: 99999999999", ""), "too long"),
        (with("Content-Length: +1", "x"), "not a number"),
        (with("Content-Length: 99999999999999999999", "x"), "not a number"),
        (chunks("+1\r\nx\r\n0\r\n\r\n"), "malformed"),
        (chunks("-1\r\nx\r\n0\r\n\r\n"), "malformed"),
        (chunks("\r\nx\r\n0\r\n\r\n"), "malformed"),
        (chunks("1\r\nxy\r\n0\r\n\r\n"), "malformed"),
        (chunks("10000000000000000\r\nx"), "malformed"),
        (chunks(&"1".repeat(5000)), "malformed"),
        (chunks(&format!("0\r\n{}\r\n", "a: b\r\n".repeat(100))), "malformed"),
        (chunks("4000001\r\nx"), "ended early"),
    ] {
        let error = taken(answer.clone().into_bytes(), vec![]).expect_err(why).to_string();
        assert!(error.contains(why), "{}: {error}", &answer[..answer.len().min(90)]);
    }
    let both = "Content-Length: 3\r\nTransfer-Encoding: chunked";
    assert_eq!(taken(with(both, "5\r\nhello\r\n0\r\n\r\n").into_bytes(), vec![]).expect("chunks count"), "hello");
}

/// Says what it was asked, and how long and what the body was.
struct Echo;

impl Service for Echo {
    async fn call(&self, request: Request) -> Response {
        let head = request.head;
        Response::new(200, "x", [format!("{} {} ", head.method, head.target.path).as_bytes(), &request.body].concat())
    }
}

/// Where a server echoes for as long as the tests run.
static ECHO: LazyLock<(Runtime, watch::Sender<bool>, SocketAddr)> = LazyLock::new(|| {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (stop, stopped) = watch::channel(false);
    let at = runtime.block_on(async {
        let listener = server::listen("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let at = listener.local_addr().expect("bound");
        let options = Options { upload: None, has_threads: false, tls: None, log: Log::silent(), stop: stopped };
        tokio::spawn(server::serve(listener, Arc::new(Echo), options));
        at
    });
    (runtime, stop, at)
});

/// Says these bytes in these pieces; all that comes back.
fn said(bytes: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(ECHO.2).expect("it listens");
    write_cut(&mut tcp, bytes, cuts);
    let mut answers = Vec::new();
    // Of what it was sent in vain it tells by a reset.
    let _ = tcp.read_to_end(&mut answers);
    answers
}

/// The bodies of the answers to requests by these methods.
fn bodies(mut answers: &[u8], methods: &[&str]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Ok(Some((head, length))) = AnswerHead::decode(answers) {
        answers = &answers[length..];
        if head.status == 100 {
            continue;
        }
        assert_eq!(head.status, 200);
        let is_head = methods.get(all.len()) == Some(&"HEAD");
        let length = head.headers.number("content-length").filter(|_| !is_head).unwrap_or(0);
        let (body, later) = answers.split_at(length as usize);
        all.push(body.to_vec());
        answers = later;
    }
    assert!(answers.is_empty(), "half an answer");
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_body_is_taken_as_it_was_sent_however_it_is_told_and_cut(
        body in prop::collection::vec(any::<u8>(), 0..9000),
        told in told(),
        cuts in prop::collection::vec(1..400_usize, 0..20),
        behind in "[ -~]{0,9}",
    ) {
        let (head, encoded) = told.encode(&body);
        let behind = if matches!(told, Told::Close) { "" } else { &behind };
        let answer = [&head, &encoded[..], behind.as_bytes()].concat();
        prop_assert_eq!(taken(answer, cuts).expect("all of it came"), body);
    }

    #[test]
    fn a_body_that_is_cut_off_is_no_body(
        body in prop::collection::vec(any::<u8>(), 1..3000),
        told in told(),
        cuts in prop::collection::vec(1..400_usize, 0..20),
        end: prop::sample::Index,
    ) {
        let (head, encoded) = told.encode(&body);
        let end = end.index(encoded.len());
        let taken = taken([&head, &encoded[..end]].concat(), cuts);
        match told {
            Told::Close => prop_assert_eq!(&taken.expect("nobody can know better")[..], &body[..end]),
            _ => prop_assert!(taken.expect_err("it ends early").to_string().contains("ended early")),
        }
    }

    #[test]
    fn requests_are_answered_in_their_order_however_they_are_cut(
        requests in prop::collection::vec(
            (prop::sample::select(vec!["GET", "HEAD", "POST"]), "/[a-z+~^]{0,9}", prop::collection::vec(any::<u8>(), 0..2000), any::<bool>()),
            1..6,
        ),
        cuts in prop::collection::vec(1..400_usize, 0..20),
    ) {
        let (mut bytes, mut expected, mut methods) = (Vec::new(), Vec::new(), Vec::new());
        for (method, path, body, waits) in &requests {
            let body = if *method == "POST" { &body[..] } else { &[] };
            let fields = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
            let expect = if *waits { "Expect: 100-continue\r\n" } else { "" };
            bytes.extend(format!("{method} {path} HTTP/1.1\r\n{fields}{expect}\r\n").into_bytes());
            bytes.extend(body);
            let echo = [format!("{method} {path} ").as_bytes(), body].concat();
            expected.push(if *method == "HEAD" { Vec::new() } else { echo });
            methods.push(*method);
        }
        prop_assert_eq!(bodies(&said(&bytes, &cuts), &methods), expected);
    }

    #[test]
    fn whatever_is_said_the_next_client_is_answered(
        good in "(GET|POST|HEAD|CONNECT) [!-~]{0,9} HTTP/1.[01]",
        fields in "((Content-Length|Transfer-Encoding|Connection|Expect|Range): ?[ -~]{0,12}\r\n){0,3}",
        noise in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(1..40_usize, 0..20),
    ) {
        said(&noise, &cuts);
        said(&[format!("{good}\r\n{fields}\r\n").as_bytes(), &noise].concat(), &cuts);
        prop_assert_eq!(bodies(&said(b"GET /next HTTP/1.1\r\n\r\n", &[]), &["GET"]), [b"GET /next ".to_vec()]);
    }
}
