//! Who knocks over UDP (uTP, BEP 29) where we only speak TCP: it is told so at once, and where it does not come over TCP
//! thereafter, we go to it. transmission 3.00 does neither turn to TCP nor try again within a quarter of an hour, but its
//! TCP port is the one that it knocks from.
//!
//! Invariant: whom we go to may come in himself, once a minute for each address, and [`KNOCKS_MAX`] at one time.

use super::door::Door;
use super::link;
use super::owner::{CONNECT_MILLIS_MAX, Input};
use crate::net::http;
use crate::net::seldom::Seldom;
use crate::swarm::Direction;
use crate::wire::utp;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;

/// How long who knocked has to come over TCP.
const COMES_WITHIN: Duration = Duration::from_secs(1);
/// Addresses that knocked and are waited for.
const KNOCKS_MAX: usize = 256;

/// Addresses that knocked and have not come yet.
#[derive(Debug, Default)]
pub(super) struct Knocks {
    awaited: Mutex<HashSet<IpAddr>>,
    seldom: Seldom,
}

impl Knocks {
    /// Somebody there knocked; whether to wait for him.
    fn knocked(&self, ip: IpAddr) -> bool {
        let mut awaited = self.awaited.lock().expect("nobody panics while holding the addresses");
        awaited.len() < KNOCKS_MAX && self.seldom.is_due(ip) && awaited.insert(ip)
    }

    /// Somebody there came over TCP, or is waited for no longer; whether he was.
    pub(super) fn came(&self, ip: IpAddr) -> bool {
        self.awaited.lock().expect("nobody panics while holding the addresses").remove(&ip.to_canonical())
    }
}

impl Door {
    /// Answers knocks at the port of this listener, for ever.
    pub(super) async fn answer_knocks(&self, listener: &TcpListener) {
        let bound = async { UdpSocket::bind(listener.local_addr()?).await };
        // Where the port is somebody else's, such clients get what they need from machines that go to them.
        let Ok(socket) = bound.await else { return std::future::pending().await };
        let own = listener.local_addr().ok().map(|own| own.ip()).filter(|ip| !ip.is_unspecified());
        let mut datagram = [0; 64];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut datagram).await else {
                // The system is short of something.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Some(refusal) = utp::refusal(&datagram[..length]) else { continue };
            let _ = socket.try_send_to(&refusal, from);
            let ip = from.ip().to_canonical();
            if self.knocks.knocked(ip) {
                let door = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(COMES_WITHIN).await;
                    if door.knocks.came(ip) && door.admits(ip).await {
                        door.go_to(SocketAddr::new(ip, from.port()), own).await;
                    }
                });
            }
        }
    }

    /// Connects to a peer there, in the first swarm of ours that it is in.
    async fn go_to(&self, address: SocketAddr, from: Option<IpAddr>) {
        for member in self.members() {
            let connecting = timeout(Duration::from_millis(CONNECT_MILLIS_MAX), http::connect(address, from));
            let Ok(Ok(tcp)) = connecting.await else { return };
            let greeting = link::in_time(link::greet(&tcp, member.info_hash(), member.peer_id()));
            if let Ok((theirs, rest)) = greeting.await {
                let direction = Direction::Outgoing;
                return member.tell(Input::Linked { tcp, theirs, rest, address, direction }).await;
            }
        }
    }
}
