//! The load: a bare HTTP/1.1 client that throws bodies away, so that the server is what is measured.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout_at;

/// What is read at a time, until a long body comes: thousands of connections that rest take little.
const HEAD_BYTES: usize = 8 << 10;
/// What is read of a long body at a time.
const BODY_BYTES: usize = 256 << 10;

/// A connection kept alive between requests.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    /// Body bytes that came so far, of answers that are not whole yet too.
    body_bytes: u64,
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body's length in bytes.
    pub(crate) body_bytes: u64,
}

impl Connection {
    /// Connects from an address of ours.
    pub(crate) async fn open(from: Option<IpAddr>, to: SocketAddr) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(from) = from {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; HEAD_BYTES], filled: 0, body_bytes: 0 })
    }

    /// GETs a path; the body is read and dropped.
    pub(crate) async fn get(&mut self, path: &str, headers: &str) -> std::io::Result<Answer> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: herd\r\n{headers}\r\n")).await
    }

    /// POSTs JSON.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> std::io::Result<Answer> {
        let head = format!("POST {path} HTTP/1.1\r\nHost: herd\r\nContent-Length: {}\r\n\r\n", body.len());
        self.ask(&(head + body)).await
    }

    async fn ask(&mut self, request: &str) -> std::io::Result<Answer> {
        self.stream.write_all(request.as_bytes()).await?;
        let head_end = loop {
            if let Some(at) = find_head_end(&self.buffer[..self.filled]) {
                break at;
            }
            self.fill().await?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(|| broken("no status"))?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: u64 = length.and_then(|text| text.trim().parse().ok()).ok_or_else(|| broken("no length"))?;
        let mut left = length;
        let here = (self.filled - head_end).min(left as usize);
        left -= here as u64;
        self.body_bytes += here as u64;
        self.buffer.copy_within(head_end + here..self.filled, 0);
        self.filled -= head_end + here;
        if self.buffer.len() < BODY_BYTES && left > HEAD_BYTES as u64 {
            self.buffer.resize(BODY_BYTES, 0);
        }
        while left > 0 {
            let most = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match self.stream.read(&mut self.buffer[..most]).await? {
                0 => return Err(broken("the body ended early")),
                read => {
                    left -= read as u64;
                    self.body_bytes += read as u64;
                }
            }
        }
        Ok(Answer { status, body_bytes: length })
    }

    /// Sends a request and reads nothing: the start of a slow reader.
    pub(crate) async fn ask_only(&mut self, path: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: herd\r\n\r\n").as_bytes()).await
    }

    /// Reads and drops what there is.
    pub(crate) async fn drink(&mut self) -> std::io::Result<usize> {
        self.stream.read(&mut self.buffer).await
    }

    /// Reads at most one byte.
    pub(crate) async fn sip(&mut self) -> std::io::Result<usize> {
        self.stream.read(&mut self.buffer[..1]).await
    }

    async fn fill(&mut self) -> std::io::Result<()> {
        match self.stream.read(&mut self.buffer[self.filled..]).await? {
            0 => Err(broken("the connection ended")),
            read => {
                self.filled += read;
                Ok(())
            }
        }
    }
}

fn find_head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn broken(what: &'static str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what)
}

/// What a number of connections moved together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moved {
    /// Requests answered as expected.
    pub(crate) requests: u64,
    /// Body bytes.
    pub(crate) bytes: u64,
    /// Requests that failed.
    pub(crate) failed: u64,
    /// How long it took.
    pub(crate) secs: f64,
}

/// Lets so many connections ask for one path again and again for a while.
pub(crate) async fn hammer(to: SocketAddr, path: &str, headers: &str, connections: usize, time: Duration) -> Moved {
    let begin = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (path, headers) = (path.to_owned(), headers.to_owned());
            tokio::spawn(async move {
                let mut moved = Moved::default();
                let Ok(mut connection) = Connection::open(None, to).await else {
                    return Moved { failed: 1, ..moved };
                };
                // What is under way at the end counts as far as it came.
                while let Ok(answer) = timeout_at((begin + time).into(), connection.get(&path, &headers)).await {
                    match answer {
                        Ok(answer) if answer.status == 200 || answer.status == 206 => moved.requests += 1,
                        _ => {
                            moved.failed += 1;
                            break;
                        }
                    }
                }
                Moved { bytes: connection.body_bytes, ..moved }
            })
        })
        .collect();
    let mut all = Moved::default();
    for task in tasks {
        let moved = task.await.expect("a load task does not panic");
        all.requests += moved.requests;
        all.bytes += moved.bytes;
        all.failed += moved.failed;
    }
    all.secs = begin.elapsed().as_secs_f64();
    all
}
