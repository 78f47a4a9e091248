//! A look at a frontend from outside, for programs without a runtime of their own: blocking, one exchange at a time.

use super::NetError;
use super::http::client::{Client, Origin};
use bytes::Bytes;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// How long an exchange may stand still.
const STALL: Duration = Duration::from_secs(3);

/// Looks at frontends.
#[derive(Debug)]
pub struct Look {
    runtime: Runtime,
}

impl Look {
    /// A look of its own.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()? })
    }

    /// Asks for a URL, from the address `bind` if told, and takes a good answer's body whole.
    pub fn get(&self, url: &str, bind: Option<IpAddr>) -> Result<Bytes, NetError> {
        let (origin, path) = Origin::parse(url)?;
        let client = Client::new(origin, bind).with_stall(STALL);
        self.runtime.block_on(client.get_whole(&path, &[]))
    }
}

/// A port of this address that nobody listens at now.
pub fn free_port(address: IpAddr) -> std::io::Result<u16> {
    Ok(TcpListener::bind((address, 0))?.local_addr()?.port())
}

/// Becomes true once somebody presses Ctrl-C or asks the process to end; from now on neither ends it by itself.
pub fn interruption() -> std::io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        kinds.into_iter().map(signal).collect::<std::io::Result<Vec<_>>>()?
    };
    let raised = Arc::clone(&flag);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let [interrupt, terminate, hangup] = signals.get_disjoint_mut([0, 1, 2]).expect("three signals are three");
        runtime.block_on(async {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, _ = hangup.recv() => {} }
        });
        raised.store(true, Ordering::Relaxed);
    })?;
    Ok(flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_free() {
        let home = IpAddr::from([127, 0, 0, 1]);
        let port = free_port(home).expect("loopback has ports");
        TcpListener::bind((home, port)).expect("it was free");
    }

    #[test]
    fn an_answer_is_taken_whole_and_an_error_tells_its_status() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let url = format!("http://{}/status.json", listener.local_addr().expect("bound"));
        let server = std::thread::spawn(move || {
            for answer in ["200 OK\r\nContent-Length: 2\r\n\r\n{}", "404 Not Found\r\nContent-Length: 5\r\n\r\nnone\n"]
            {
                use std::io::{BufRead, BufReader, Write};
                let (mut stream, _) = listener.accept().expect("a connection");
                let mut lines = BufReader::new(stream.try_clone().expect("cloned")).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                write!(stream, "HTTP/1.1 {answer}").expect("written");
            }
        });
        let look = Look::new().expect("a runtime");
        assert_eq!(look.get(&url, None).expect("answered"), "{}");
        assert!(look.get(&url, None).is_err_and(|error| error.to_string().contains("404")));
        server.join().expect("served");
    }
}
