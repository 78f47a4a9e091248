//! Where peers come in: one port for all swarms of a process.

use super::knocks::Knocks;
use super::link;
use super::owner::{Input, Member};
use crate::net::log::Log;
use crate::net::seldom::Seldom;
use crate::swarm::Direction;
use crate::torrent::InfoHash;
use std::collections::{HashMap, HashSet};
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Handshakes under way at one time; at the limit the next connection waits in the backlog.
const HANDSHAKES_MAX: usize = 512;

/// Handshakes under way with one address; at the limit its next connection is closed, so that one machine that does not
/// finish its handshakes keeps nobody out.
const HANDSHAKES_PER_ADDRESS_MAX: usize = 32;

/// Says whether a peer at this address may come in.
type Admit = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Takes peers in and hands them to the swarm they ask for.
#[derive(Clone)]
pub struct Door {
    members: Arc<RwLock<HashMap<InfoHash, Member>>>,
    admit: Admit,
    greeting: Arc<Mutex<HashMap<IpAddr, usize>>>,
    pub(super) knocks: Arc<Knocks>,
    refused: Arc<Seldom>,
    log: Log,
}

impl Door {
    /// A door that lets in whom `admit` names.
    pub fn new(admit: impl Fn(IpAddr) -> bool + Send + Sync + 'static, log: Log) -> Self {
        Self {
            members: Arc::default(),
            admit: Arc::new(admit),
            greeting: Arc::default(),
            knocks: Arc::default(),
            refused: Arc::default(),
            log,
        }
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

    /// The addresses of all peers that have come in.
    pub async fn linked(&self) -> HashSet<IpAddr> {
        let mut addresses = HashSet::new();
        for member in self.members() {
            addresses.extend(member.linked().await);
        }
        addresses
    }

    /// Hangs up on all peers at these addresses. They may come again, if they are let in.
    pub async fn hang_up_on(&self, addresses: HashSet<IpAddr>) {
        let addresses = Arc::new(addresses);
        for member in self.members() {
            member.tell(Input::HangUp(Arc::clone(&addresses))).await;
        }
    }

    /// Takes peers in, for ever.
    pub async fn run(self, listener: TcpListener) {
        tokio::select! {
            () = self.take_all_in(&listener) => {}
            () = self.answer_knocks(&listener) => {}
        }
    }

    async fn take_all_in(&self, listener: &TcpListener) {
        let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Ok((tcp, address)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let ip = address.ip().to_canonical();
            if !self.begins(ip) {
                self.refuse(address, &"too many handshakes at once");
                continue;
            }
            let door = self.clone();
            tokio::spawn(async move {
                if let Err(why) = link::in_time(door.take_in(tcp, address)).await {
                    door.refuse(address, &why);
                }
                door.ends(ip);
                drop(place);
            });
        }
    }

    /// Counts a handshake with this address; false where there are too many.
    fn begins(&self, ip: IpAddr) -> bool {
        let mut greeting = self.greeting.lock().expect("nobody panics while holding the handshakes");
        let count = greeting.entry(ip).or_default();
        *count += 1;
        *count <= HANDSHAKES_PER_ADDRESS_MAX || {
            *count -= 1;
            false
        }
    }

    fn ends(&self, ip: IpAddr) {
        let mut greeting = self.greeting.lock().expect("nobody panics while holding the handshakes");
        if let Some(count) = greeting.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                greeting.remove(&ip);
            }
        }
    }

    fn refuse(&self, address: SocketAddr, reason: &dyn std::fmt::Display) {
        if self.refused.is_due(address.ip().to_canonical()) {
            self.log.warning("peer-refused", &[("address", &address), ("reason", reason)]);
        }
    }

    /// Whether a peer at this address may come in.
    pub(super) async fn admits(&self, ip: IpAddr) -> bool {
        let admit = Arc::clone(&self.admit);
        tokio::task::spawn_blocking(move || admit(ip)).await.unwrap_or(false)
    }

    async fn take_in(&self, tcp: TcpStream, address: SocketAddr) -> std::io::Result<()> {
        if !self.admits(address.ip()).await {
            return Err(Error::new(ErrorKind::PermissionDenied, "not a host that is installing"));
        }
        tcp.set_nodelay(true)?;
        let (theirs, rest) = link::receive_handshake(&tcp).await?;
        let unknown = || Error::new(ErrorKind::NotFound, format!("no swarm {} here", theirs.info_hash));
        let member = self.member(theirs.info_hash).ok_or_else(unknown)?;
        link::write_all(&tcp, &link::encoded(member.info_hash(), member.peer_id())).await?;
        let direction = Direction::Incoming;
        self.knocks.came(address.ip());
        member.tell(Input::Linked { tcp, theirs, rest, address, direction }).await;
        Ok(())
    }
}
