//! What answers a machine's request for a document: head, chunks and gzip, over a connection of this machine.
#![no_main]

use rocks::net::http::client::{Client, Origin};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::mpsc::{Sender, channel};

/// Its own address, so that the connections it leaves behind are in nobody's way.
const ADDRESS: &str = "127.70.85.90:0";

struct Bench {
    runtime: tokio::runtime::Runtime,
    answers: Sender<Vec<u8>>,
    origin: Origin,
}

thread_local! {
    static BENCH: Bench = {
        let listener = TcpListener::bind(ADDRESS).expect("an address of the loopback");
        let address = listener.local_addr().expect("bound");
        let (answers, next) = channel::<Vec<u8>>();
        std::thread::spawn(move || {
            for answer in next {
                let (mut tcp, _) = listener.accept().expect("somebody asks");
                _ = tcp.read(&mut [0; 1024]);
                // Whoever has read enough may have gone.
                _ = tcp.write_all(&answer);
                _ = tcp.shutdown(Shutdown::Write);
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (origin, _) = Origin::parse(&format!("http://{address}/")).expect("an origin");
        Bench { runtime, answers, origin }
    };
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    BENCH.with(|bench| {
        bench.answers.send(data.to_vec()).expect("somebody answers");
        let client = Client::new(bench.origin.clone(), None);
        let tag = data.ends_with(b"\n").then_some("W/\"1\"");
        let answered = bench.runtime.block_on(client.get_newer("/install/manifest", tag));
        if let Ok(Some((body, _))) = answered {
            let is_packed = data.to_ascii_lowercase().windows(4).any(|word| word == b"gzip");
            assert!(is_packed || body.len() < data.len(), "more than came");
        }
    });
});
