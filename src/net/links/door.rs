//! Where peers come in: one port for all swarms of a process.

use super::link;
use super::owner::{Input, Member};
use crate::net::log::Log;
use crate::swarm::Direction;
use crate::torrent::InfoHash;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Handshakes under way at one time; at the limit the next connection waits in the backlog.
const HANDSHAKES_MAX: usize = 512;

/// Says whether a peer at this address may come in.
type Admit = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Takes peers in and hands them to the swarm they ask for.
#[derive(Clone)]
pub struct Door {
    members: Arc<RwLock<HashMap<InfoHash, Member>>>,
    admit: Admit,
    log: Log,
}

impl Door {
    /// A door that lets in whom `admit` names.
    pub fn new(admit: impl Fn(IpAddr) -> bool + Send + Sync + 'static, log: Log) -> Self {
        Self { members: Arc::default(), admit: Arc::new(admit), log }
    }

    /// Opens the door to this swarm.
    pub fn add(&self, member: Member) {
        self.members.write().expect("nobody panics while holding the swarms").insert(member.info_hash(), member);
    }

    /// Closes the door to this swarm.
    pub fn remove(&self, info_hash: InfoHash) -> Option<Member> {
        self.members.write().expect("nobody panics while holding the swarms").remove(&info_hash)
    }

    /// The swarm of this name.
    pub fn member(&self, info_hash: InfoHash) -> Option<Member> {
        self.members.read().expect("nobody panics while holding the swarms").get(&info_hash).cloned()
    }

    /// Every swarm.
    pub fn members(&self) -> Vec<Member> {
        self.members.read().expect("nobody panics while holding the swarms").values().cloned().collect()
    }

    /// Takes peers in, for ever.
    pub async fn run(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Ok((tcp, address)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let door = self.clone();
            tokio::spawn(async move {
                let limit = Duration::from_secs(link::HANDSHAKE_SECS_MAX);
                let _ = timeout(limit, door.take_in(tcp, address)).await;
                drop(place);
            });
        }
    }

    async fn take_in(&self, tcp: TcpStream, address: std::net::SocketAddr) -> std::io::Result<()> {
        let admit = Arc::clone(&self.admit);
        let admitted = tokio::task::spawn_blocking(move || admit(address.ip())).await.unwrap_or(false);
        if !admitted {
            self.log.warning("peer-refused", &[("address", &address), ("reason", &"not a host that is installing")]);
            return Ok(());
        }
        tcp.set_nodelay(true)?;
        let (theirs, rest) = link::receive_handshake(&tcp).await?;
        let Some(member) = self.member(theirs.info_hash) else { return Ok(()) };
        link::write_all(&tcp, &link::encoded(member.info_hash(), member.peer_id())).await?;
        let direction = Direction::Incoming;
        member.tell(Input::Linked { tcp, theirs, rest, address, direction }).await;
        Ok(())
    }
}
