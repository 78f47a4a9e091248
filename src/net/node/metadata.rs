//! The metainfo of a machine's distribution: whole from the frontend, or its info dictionary from a machine that the
//! frontend names (BEP 9), so that it leaves the frontend a few times and not once for each machine.
//!
//! Invariant: whatever the machines named do, each of them costs [`SILENT_MAX`] or the time that it earns with parts that
//! come (see [`Limits`]), and the frontend is left.

use crate::net::links::{WantedInfo, info_from};
use crate::net::log::Log;
use crate::net::rate::Bucket;
use crate::net::referral::Referral;
use crate::torrent::Metainfo;
use crate::wire::metadata_parts;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Machines that are asked, of those that the frontend names.
const HOLDERS_MAX: usize = 4;
/// How long a machine may be silent before the next one is asked too: so many times as long as the frontend took to be
/// asked (its link may be slow, or busy with the others), and within these bounds. It need not have the info dictionary yet.
const QUIET_TIMES: u32 = 3;
const QUIET_MIN: Duration = Duration::from_millis(400);
const QUIET_MAX: Duration = Duration::from_secs(4);
/// What comes through each machine in between in a second, at least (a link of 10 Mbit serves four at once): so much longer
/// it may take, and within these bounds.
const BYTES_PER_SEC_MIN: u64 = 256 << 10;
const PASSING_TIMES: u32 = 100;
const PASSING_MAX: Duration = Duration::from_secs(10);
/// Nobody may be silent for longer than this, whatever the link: one that waits for others itself is asked beside the next
/// one, which is nearer to the frontend. Through each machine it comes a little later.
const SILENT_MAX: Duration = Duration::from_secs(2);
const SILENT_MAX_NEAR: Duration = Duration::from_secs(1);
const SILENT_MORE: Duration = Duration::from_millis(250);

/// How long to wait for machines.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// For one that says nothing.
    silent: Duration,
    /// For the whole of it from one that does: each part that comes earns its share of this.
    whole: Duration,
}

/// What is needed to ask other machines.
pub(super) struct Holders<'a> {
    pub(super) bind: Option<IpAddr>,
    pub(super) download: Option<Arc<Bucket>>,
    pub(super) log: &'a Log,
}

impl Holders<'_> {
    /// The metainfo that this referral is about; none where the machines it names do not give it in time. The frontend took so
    /// long to be asked for it.
    pub(super) async fn get(&self, referral: &Referral, took: Duration) -> Option<Metainfo> {
        let begun = Instant::now();
        let Some((info, holder)) = self.info(referral, Limits::of(referral, took)).await else {
            self.log.info("metainfo", &[("from", &"frontend"), ("reason", &"no machine gave it in time")]);
            return None;
        };
        let metainfo = referral.around(&info).ok()?;
        self.log.info(
            "metainfo",
            &[("from", &holder), ("depth", &referral.depth), ("millis", &begun.elapsed().as_millis())],
        );
        Some(metainfo)
    }

    /// The info dictionary, and who gave it.
    async fn info(&self, referral: &Referral, limits: Limits) -> Option<(Vec<u8>, SocketAddr)> {
        let wanted = WantedInfo { info_hash: referral.info_hash, length_bytes: referral.info_bytes };
        // The parts that came from whoever has sent the most.
        let (came, mut parts) = watch::channel(0);
        let came = Arc::new(came);
        let mut asked = JoinSet::new();
        let mut holders = referral.holders.iter().copied().take(HOLDERS_MAX).peekable();
        while let Some(holder) = holders.next() {
            let (bind, download, came) = (self.bind, self.download.clone(), Arc::clone(&came));
            asked.spawn(async move {
                let info = info_from(holder, bind, wanted, download.as_deref(), &came).await;
                (holder, info)
            });
            let begun = Instant::now();
            let mut moved = begun;
            while !asked.is_empty() {
                let earned = limits.after(*parts.borrow_and_update(), referral.info_bytes);
                let due = (begun + earned).min(moved + limits.silent);
                tokio::select! {
                    done = asked.join_next() => match done {
                        Some(Ok((holder, Ok(info)))) => return Some((info, holder)),
                        Some(Ok((holder, Err(error)))) => {
                            self.log.info("metainfo-refused", &[("by", &holder), ("reason", &error)]);
                            if holders.peek().is_some() {
                                break;
                            }
                        }
                        _ => break,
                    },
                    Ok(()) = parts.changed() => moved = Instant::now(),
                    () = sleep_until(due) => break,
                }
            }
        }
        None
    }
}

impl Limits {
    /// For this referral, which the frontend took so long to give.
    fn of(referral: &Referral, took: Duration) -> Self {
        let bytes = u64::from(referral.info_bytes) * u64::from(referral.depth);
        let passing = Duration::from_millis(bytes.saturating_mul(1000) / BYTES_PER_SEC_MIN);
        let whole =
            (took * QUIET_TIMES).clamp(QUIET_MIN, QUIET_MAX) + passing.min(took * PASSING_TIMES).min(PASSING_MAX);
        let silent_max = SILENT_MAX_NEAR + SILENT_MORE.saturating_mul(referral.depth);
        Self { silent: whole.min(silent_max).min(SILENT_MAX), whole }
    }

    /// How long after a machine was asked the next one is asked too, where so many parts of so many bytes are there.
    fn after(&self, parts: u32, info_bytes: u32) -> Duration {
        self.silent + self.whole * parts / metadata_parts(info_bytes).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fixture::{Fixture, logged};
    use crate::torrent::PeerId;
    use crate::wire::{HANDSHAKE_BYTES, Handshake, METADATA_PART_BYTES, Message, MetadataMessage};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// What a machine that gives nothing does instead.
    #[derive(Debug, Clone, Copy)]
    enum Fault {
        /// Nothing: who comes waits for ever.
        Frozen,
        /// It closes whatever comes.
        Closes,
        /// Its handshake does not end, though something always comes.
        Drips,
        /// It shakes hands and then says the same without end.
        Chatters,
        /// What it gives is of the right length, and wrong.
        Lies,
    }

    async fn faulty(fault: Fault, referral: &Referral) -> (SocketAddr, Option<TcpListener>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("its address");
        if let Fault::Frozen = fault {
            return (at, Some(listener));
        }
        let (info_hash, length) = (referral.info_hash, referral.info_bytes);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(misbehave(fault, tcp, info_hash, length));
            }
        });
        (at, None)
    }

    async fn misbehave(
        fault: Fault,
        mut tcp: TcpStream,
        info_hash: crate::torrent::InfoHash,
        length: u32,
    ) -> std::io::Result<()> {
        let mut hello = Vec::new();
        Handshake::ours(info_hash, PeerId::new([9; 12])).encode(&mut hello);
        if let Fault::Closes = fault {
            return Ok(());
        }
        if let Fault::Drips = fault {
            for byte in hello.iter().cycle().take(HANDSHAKE_BYTES - 1) {
                tcp.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            return std::future::pending().await;
        }
        tcp.write_all(&hello).await?;
        let mut said = Vec::new();
        if let Fault::Chatters = fault {
            Message::Have(7).encode(&mut said);
            Message::KeepAlive.encode(&mut said);
            loop {
                tcp.write_all(&said).await?;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let payload = format!("d1:md11:ut_metadatai1ee13:metadata_sizei{length}ee").into_bytes();
        Message::Extended { id: 0, payload: &payload }.encode(&mut said);
        tcp.write_all(&said).await?;
        // Its handshake, and the request behind it.
        let mut heard = Vec::new();
        while !heard.windows(8).any(|bytes| bytes == b"msg_type") {
            tcp.read_buf(&mut heard).await?;
        }
        said.clear();
        let data = vec![0x55; length as usize];
        let payload = MetadataMessage::Data { part: 0, length_bytes: length, data: &data }.encode();
        Message::Extended { id: 1, payload: &payload }.encode(&mut said);
        tcp.write_all(&said).await?;
        std::future::pending().await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whatever_others_do_who_has_it_gives_it_or_the_frontend_is_left() {
        let fixture = Fixture::new();
        let running = fixture.serve().await;
        let named = |holders| Referral::to(holders, 1, &fixture.metainfo);
        let nobody = named(Vec::new());
        for fault in [Fault::Frozen, Fault::Closes, Fault::Drips, Fault::Chatters, Fault::Lies] {
            let (faulty, _keeps) = faulty(fault, &nobody).await;
            let (log, lines) = logged();
            let bind = Some([127, 1, 0, 1].into());
            let holders = Holders { bind, download: None, log: &log };
            let got = holders.get(&named(vec![faulty, running.peers]), Duration::ZERO).await;
            assert_eq!(got.as_ref(), Some(&fixture.metainfo), "{fault:?}");
            let from = format!("event=metainfo from={}", running.peers);
            assert!(lines.lock().expect("a list").iter().any(|line| line.starts_with(&from)), "{fault:?}");
            assert_eq!(holders.get(&named(vec![faulty]), Duration::ZERO).await, None, "{fault:?}");
            let is_left = |line: &String| line.starts_with("event=metainfo from=frontend");
            assert!(lines.lock().expect("a list").iter().any(is_left), "{fault:?}");
        }
        let (log, _) = logged();
        let holders = Holders { bind: None, download: None, log: &log };
        assert_eq!(holders.get(&nobody, Duration::ZERO).await, None);
        running.stop().await;
    }

    #[test]
    fn a_machine_may_be_silent_for_longer_where_the_link_is_slow_and_the_way_is_long_but_never_for_long() {
        let fixture = Fixture::new();
        let limits = |info_bytes, depth, took_millis| {
            let mut referral = Referral::to(Vec::new(), depth, &fixture.metainfo);
            referral.info_bytes = info_bytes;
            Limits::of(&referral, Duration::from_millis(took_millis))
        };
        let secs = |limits: Limits| (limits.silent.as_secs_f64(), limits.whole.as_secs_f64());
        let (silent, whole) = secs(limits(20_000, 1, 5));
        assert!((0.4..0.5).contains(&silent) && (0.4..0.5).contains(&whole), "{silent} {whole}");
        let (silent, whole) = secs(limits(1_500_000, 1, 5));
        assert!((0.4..1.0).contains(&silent) && (0.4..1.0).contains(&whole), "a fast link: {silent} {whole}");
        let (silent, whole) = secs(limits(20_000, 3, 500));
        assert!((1.5..1.8).contains(&silent) && (1.5..2.0).contains(&whole), "{silent} {whole}");
        let (silent, whole) = secs(limits(1_500_000, 1, 500));
        assert!((1.0..1.3).contains(&silent) && (6.5..8.5).contains(&whole), "{silent} {whole}");
        let (silent, whole) = secs(limits(u32::MAX, u32::MAX, 1_000_000));
        assert!(silent <= 2.0 && whole <= 14.0, "{silent} {whole}");
    }

    #[test]
    fn parts_that_come_earn_time_for_the_rest() {
        let limits = Limits { silent: Duration::from_secs(1), whole: Duration::from_secs(10) };
        let info_bytes = 100 * METADATA_PART_BYTES as u32;
        let after = [0, 1, 50, 100].map(|parts| limits.after(parts, info_bytes).as_millis());
        assert_eq!(after, [1000, 1100, 6000, 11_000]);
        assert_eq!(limits.after(0, 0), limits.silent);
    }
}
