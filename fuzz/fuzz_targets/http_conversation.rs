//! Requests and their bodies over a connection, as the frontend and the door read them: as many answers come as there are
//! requests, and the first that cannot be read is the last.
#![no_main]

use rocks::net::http::server::{BODY_BYTES_MAX, HEAD_BYTES_MAX, Options, listen, serve};
use rocks::net::http::{Request, RequestHead, Response, Service};
use rocks::net::log::Log;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};
use tokio::sync::watch;

/// Its own address, so that the connections it leaves behind are in nobody's way.
const ADDRESS: &str = "127.70.85.91:0";

struct Short;

impl Service for Short {
    async fn call(&self, _: Request) -> Response {
        Response::text(200, "asked")
    }
}

/// The runtime that serves, what stops it, and where it listens.
static BENCH: LazyLock<(tokio::runtime::Runtime, watch::Sender<bool>, SocketAddr)> = LazyLock::new(|| {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (stop, stopped) = watch::channel(false);
    let at = runtime.block_on(async {
        let listener = listen(ADDRESS.parse().expect("an address")).expect("a port");
        let at = listener.local_addr().expect("bound");
        let options = Options { upload: None, has_threads: false, tls: None, log: Log::silent(), stop: stopped };
        tokio::spawn(serve(listener, Arc::new(Short), options));
        at
    });
    (runtime, stop, at)
});

/// The statuses of the answers to these bytes.
fn expected(mut rest: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    loop {
        let (head, length) = match RequestHead::decode(rest) {
            Ok(Some(read)) => read,
            Ok(None) if rest.len() < HEAD_BYTES_MAX => return statuses,
            Ok(None) => return [statuses, vec![431]].concat(),
            Err(bad) => return [statuses, vec![bad.0]].concat(),
        };
        let body = match head.body_bytes() {
            Ok(body) if body <= BODY_BYTES_MAX => body as usize,
            Ok(_) => return [statuses, vec![413]].concat(),
            Err(bad) => return [statuses, vec![bad.0]].concat(),
        };
        let Some(later) = rest.get(length + body..) else { return statuses };
        statuses.push(200);
        if !head.keeps_alive() {
            return statuses;
        }
        rest = later;
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut tcp = TcpStream::connect(BENCH.2).expect("it listens");
    // It may have seen enough before all of it was sent.
    _ = tcp.write_all(data);
    _ = tcp.shutdown(Shutdown::Write);
    let mut answers = Vec::new();
    // Of what it was sent in vain it may tell by a reset.
    _ = tcp.read_to_end(&mut answers);
    let answers = String::from_utf8(answers).expect("ours are ASCII");
    let statuses = answers.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().expect("a status"));
    assert_eq!(statuses.filter(|status| *status != 100).collect::<Vec<u16>>(), expected(data), "{answers}");
});
