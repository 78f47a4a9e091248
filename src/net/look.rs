//! A look at a frontend from outside, for programs without a runtime of their own: blocking, one exchange at a time.
//!
//! What a frontend tells anybody is asked with `ureq`. What it tells a machine by that machine's address is asked from
//! there with the client of this room, since `ureq` chooses the source address itself.

use super::NetError;
use super::http::client::{Client, Origin};
use bytes::Bytes;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How long an exchange may stand still.
const STALL: Duration = Duration::from_secs(3);
/// How long an exchange may take in all.
const EXCHANGE: Duration = Duration::from_secs(30);
/// The longest answer that is taken: the status of 10,000 machines is a tenth of it.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Looks at frontends.
#[derive(Debug)]
pub struct Look {
    agent: ureq::Agent,
}

impl Default for Look {
    fn default() -> Self {
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .timeout_connect(Some(STALL))
            .timeout_recv_response(Some(STALL))
            .timeout_global(Some(EXCHANGE));
        Self { agent: config.build().new_agent() }
    }
}

impl Look {
    /// Asks for a URL and takes a good answer's body whole.
    pub fn get(&self, url: &str) -> Result<Vec<u8>, NetError> {
        let (origin, _) = Origin::parse(url)?;
        let told = |error: ureq::Error| {
            let why = match error {
                ureq::Error::Io(source) if source.kind() == std::io::ErrorKind::ConnectionRefused => {
                    return NetError::Connect { address: origin.authority(), source };
                }
                ureq::Error::StatusCode(status) => format!("the answer is {status}; a frontend knows this"),
                error => error.to_string(),
            };
            NetError::Exchange { url: url.to_owned(), why }
        };
        let mut answer = self.agent.get(url).call().map_err(told)?;
        answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(told)
    }

    /// The same, asked from the address of a machine and so with its rights.
    pub fn get_as(&self, url: &str, machine: IpAddr) -> Result<Bytes, NetError> {
        let (origin, path) = Origin::parse(url)?;
        let client = Client::new(origin, Some(machine)).with_stall(STALL);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| NetError::Exchange { url: url.to_owned(), why: error.to_string() })?;
        runtime.block_on(client.get_whole(&path, &[]))
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
            for answer in [
                "200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
                "404 Not Found\r\nContent-Length: 5\r\n\r\nnone\n",
            ] {
                use std::io::{BufRead, BufReader, Write};
                let (mut stream, _) = listener.accept().expect("a connection");
                let mut lines = BufReader::new(stream.try_clone().expect("cloned")).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                write!(stream, "HTTP/1.1 {answer}").expect("written");
            }
        });
        let look = Look::default();
        assert_eq!(look.get(&url).expect("answered"), b"{}");
        assert!(look.get(&url).is_err_and(|error| error.to_string().contains("404")));
        server.join().expect("served");
    }
}
