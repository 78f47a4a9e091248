//! One connection between peers: its handshake, the task that reads and the task that writes.

use super::moving::Moving;
use super::owner::Input;
use super::spare::Spare;
use super::supply::Supply;
use super::way_out::{Leaving, WayOut};
use crate::cache::Part;
use crate::net::CONGESTION_CONTROL;
use crate::net::http::{has_room, send_file};
use crate::net::rate::Bucket;
use crate::swarm::{Event, Message, PeerKey, RawBlock};
use crate::torrent::{Block, InfoHash, PeerId};
use crate::wire::{self, BlockRequest, Handshake};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use rustix::net::SendFlags;
use std::collections::{HashSet, VecDeque};
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

/// How long a handshake may take.
const HANDSHAKE_SECS_MAX: u64 = 5;
/// What waits to be sent on one connection; a peer that lets more pile up is dropped.
pub(super) const OUT_MAX: usize = 8192;
/// How long a peer may say nothing, not even a keep-alive.
const SILENCE_SECS_MAX: u64 = 180;
/// How long a message may take from its first byte to its next.
const STALL_SECS_MAX: u64 = 20;
/// Messages are gathered up to this size before they are written.
const BATCH_BYTES: usize = 32 << 10;
/// What is read from a socket at a time where no payload is expected.
pub(super) const READ_BYTES: usize = 16 << 10;
/// A block of the seed is out when less than half of this waits in the socket for its turn on the link. Short pieces fit into
/// the buffers of many sockets at once: counted as sent they would all be on their way together, each for as long as all
/// take, while nobody has anything to pass on. (A machine that waited so would leave gaps: its own way out is the narrow place.)
const UNSENT_BYTES: u32 = 32 << 10;
/// A booking at a rate.
const PACED_BYTES_MAX: usize = 16 << 10;

/// What the owner has a connection send.
#[derive(Debug)]
pub(super) enum Out {
    Message(Message),
    Block(Block),
    /// A part of the info dictionary, under the number that the receiver gave the extension.
    Metadata {
        id: u8,
        part: u32,
    },
}

/// What all connections of a swarm share.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) supply: Supply,
    /// Whether this is the frontend's seed: its blocks count as sent when they are on the link.
    pub(super) is_seed: bool,
    pub(super) way_out: Arc<WayOut>,
    pub(super) upload: Option<Arc<Bucket>>,
    pub(super) download: Option<Arc<Bucket>>,
    pub(super) uploaded: Arc<AtomicU64>,
    pub(super) spare: Spare,
    pub(super) to_owner: mpsc::Sender<Input>,
}

/// The blocks that were asked of a peer and have not come, no more than there are: only they are read into memory.
pub(super) type Expected = Arc<Mutex<HashSet<RawBlock>>>;

/// The owner's end of a connection; dropping it ends the connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) address: SocketAddr,
    pub(super) out: mpsc::Sender<Out>,
    pub(super) expected: Expected,
    tasks: [AbortHandle; 2],
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Shakes hands on a connection that we opened: who the other is, and what it sent beyond.
pub(super) async fn greet(tcp: &TcpStream, info_hash: InfoHash, us: PeerId) -> std::io::Result<(Handshake, BytesMut)> {
    write_all(tcp, &encoded(info_hash, us)).await?;
    let (theirs, rest) = receive_handshake(tcp).await?;
    if theirs.info_hash != info_hash {
        return Err(Error::new(ErrorKind::InvalidData, "another swarm"));
    }
    Ok((theirs, rest))
}

/// Gives a handshake its time and no more.
pub(super) async fn in_time<T>(handshake: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    let limit = Duration::from_secs(HANDSHAKE_SECS_MAX);
    timeout(limit, handshake).await.map_err(|_| Error::new(ErrorKind::TimedOut, "its handshake does not end"))?
}

/// Our handshake as bytes.
pub(super) fn encoded(info_hash: InfoHash, us: PeerId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(wire::HANDSHAKE_BYTES);
    Handshake::ours(info_hash, us).encode(&mut bytes);
    bytes
}

/// Reads the other's handshake.
pub(super) async fn receive_handshake(tcp: &TcpStream) -> std::io::Result<(Handshake, BytesMut)> {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        match Handshake::decode(&buffer) {
            Ok(Some((handshake, length))) => {
                buffer.advance(length);
                return Ok((handshake, buffer));
            }
            Ok(None) => {}
            Err(error) => return Err(Error::new(ErrorKind::InvalidData, error.to_string())),
        }
        read_some(tcp, &mut buffer, READ_BYTES).await?;
    }
}

/// Starts the two tasks of a connection.
pub(super) fn start(tcp: TcpStream, rest: BytesMut, (peer, address): (PeerKey, SocketAddr), common: &Common) -> Link {
    // Where the kernel refuses, blocks only count as sent sooner than they are.
    let buffer_bytes = common.way_out.buffer_bytes();
    let _ = socket2::SockRef::from(&tcp).set_send_buffer_size(buffer_bytes);
    if common.is_seed {
        let _ = socket2::SockRef::from(&tcp).set_tcp_notsent_lowat(UNSENT_BYTES);
    }
    let _ = socket2::SockRef::from(&tcp).set_tcp_congestion(CONGESTION_CONTROL);
    let (from, to) = tcp.into_split();
    let (out, outgoing) = mpsc::channel(OUT_MAX);
    let expected = Expected::default();
    let mut reader = Reader::new(from, rest, peer, Arc::clone(&expected), common.clone());
    let writer = Writer { tcp: to, peer, buffer_bytes, common: common.clone() };
    let (lost, also_lost) = (common.to_owner.clone(), common.to_owner.clone());
    let read = tokio::spawn(async move {
        let why = reader.run().await.err();
        let _ = lost.send(Input::Lost(peer, why)).await;
    });
    let write = tokio::spawn(async move {
        let why = writer.run(outgoing).await.err();
        let _ = also_lost.send(Input::Lost(peer, why)).await;
    });
    Link { address, out, expected, tasks: [read.abort_handle(), write.abort_handle()] }
}

/// Reads what a peer says, from its connection.
pub(super) struct Reader<R> {
    tcp: R,
    buffer: BytesMut,
    peer: PeerKey,
    expected: Expected,
    common: Common,
    /// What the peer has said to have, once it has opened with a bit field.
    field: Option<Vec<u8>>,
    /// Pieces that a later bit field names anew: no more than there are.
    haves: VecDeque<u32>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// A reader that begins with what came behind the handshake.
    pub(super) fn new(tcp: R, rest: BytesMut, peer: PeerKey, expected: Expected, common: Common) -> Self {
        Self { tcp, buffer: rest, peer, expected, common, field: None, haves: VecDeque::new() }
    }

    /// How much lies in it that was not told yet.
    #[cfg(any(test, fuzzing))]
    pub(super) fn unread_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Tells the owner what the peer says until the connection ends, which is an error.
    pub(super) async fn run(&mut self) -> std::io::Result<()> {
        loop {
            while let Some(input) = self.next_buffered().await? {
                if self.common.to_owner.send(input).await.is_err() {
                    return Ok(());
                }
            }
            let limit = if self.buffer.is_empty() { SILENCE_SECS_MAX } else { STALL_SECS_MAX };
            let read =
                timeout(Duration::from_secs(limit), read_more(&mut self.tcp, &mut self.buffer, READ_BYTES)).await;
            read.map_err(|_| stalled())??;
        }
    }

    /// Whether the buffer begins with the head of a piece message (a keep-alive has no fifth byte of its own).
    fn has_piece_head(&self) -> bool {
        let head = self.buffer.first_chunk::<{ wire::PIECE_HEAD_BYTES }>();
        head.is_some_and(|head| head[..4] != [0; 4] && head[4] == 7)
    }

    /// The next message in the buffer; a block is read to its end, whatever of it the buffer has.
    async fn next_buffered(&mut self) -> std::io::Result<Option<Input>> {
        loop {
            if let Some(piece) = self.haves.pop_front() {
                return Ok(Some(Input::Event(Event::Message { peer: self.peer, message: Message::Have(piece) })));
            }
            if self.has_piece_head() {
                return self.block().await.map(Some);
            }
            let (message, length) = match wire::Message::decode(&self.buffer) {
                // A piece message without content, or one whose head is not whole, waits for its head.
                Ok(Some((message, length))) => (own(&message), length),
                Ok(None) => return Ok(None),
                Err(error) => return Err(Error::new(ErrorKind::InvalidData, error.to_string())),
            };
            self.buffer.advance(length);
            if let Some(message) = message.and_then(|message| self.news(message)) {
                return Ok(Some(Input::Event(Event::Message { peer: self.peer, message })));
            }
        }
    }

    /// aria2 says what it has got by sending its bit field again where that is shorter than a row of haves: what is new
    /// in it becomes haves.
    fn news(&mut self, message: Message) -> Option<Message> {
        let bytes = self.common.supply.metainfo().layout().piece_count().div_ceil(8) as usize;
        match (&message, &mut self.field) {
            (Message::Bitfield(now), Some(before)) if now.len() == before.len() => {
                self.haves.extend(new_bits(before, now));
                before.clone_from(now);
                // It counts as a word, or the same field could be said without end.
                return Some(Message::KeepAlive);
            }
            (Message::Bitfield(now), before @ None) if now.len() == bytes => *before = Some(now.clone()),
            (Message::HaveNone, before @ None) => *before = Some(vec![0; bytes]),
            (Message::Have(piece), Some(before)) => {
                if let Some(byte) = before.get_mut(*piece as usize / 8) {
                    *byte |= 0x80 >> (piece % 8);
                }
            }
            _ => {}
        }
        Some(message)
    }

    /// Reads a block; one that nobody asked for is read past.
    async fn block(&mut self) -> std::io::Result<Input> {
        let mut head = self.buffer.split_to(wire::PIECE_HEAD_BYTES);
        let length = (head.get_u32() as usize).checked_sub(9).filter(|length| *length <= wire::PIECE_DATA_BYTES_MAX);
        let length = length.ok_or_else(|| Error::new(ErrorKind::InvalidData, "a block of impossible length"))?;
        head.advance(1);
        let raw = RawBlock { piece: head.get_u32(), offset_bytes: head.get_u32(), length_bytes: length as u32 };
        let is_expected = self.expected.lock().expect("nobody panics while holding the blocks").remove(&raw);
        let layout = self.common.supply.metainfo().layout();
        let block = layout.block(raw.piece, raw.offset_bytes, raw.length_bytes);
        let data = if is_expected { Some(self.payload(length, block).await?) } else { self.skip(length).await? };
        // Outside every piece: said in words that the session judges.
        Ok(match block {
            Some(block) => Input::Block { peer: self.peer, block, data: data.unwrap_or_default() },
            None => Input::Event(Event::Message { peer: self.peer, message: Message::Have(u32::MAX) }),
        })
    }

    async fn payload(&mut self, length: usize, block: Option<Block>) -> std::io::Result<Bytes> {
        let mut payload = self.common.spare.take(length);
        let here = length.min(self.buffer.len());
        payload.put(self.buffer.split_to(here));
        self.book(here).await;
        let mut moving = Moving::new(Instant::now());
        while payload.len() < length {
            let before = payload.len();
            self.fill(&mut payload, length - before).await?;
            self.book(payload.len() - before).await;
            if let Some(block) = block.filter(|_| moving.is_news(Instant::now(), payload.len())) {
                let _ = self.common.to_owner.send(Input::Event(Event::BlockMoves { peer: self.peer, block })).await;
            }
        }
        self.common.way_out.came(Instant::now(), length as u64);
        Ok(payload.freeze())
    }

    async fn skip(&mut self, length: usize) -> std::io::Result<Option<Bytes>> {
        let here = length.min(self.buffer.len());
        self.buffer.advance(here);
        self.book(here).await;
        let mut left = length - here;
        while left > 0 {
            let mut past = BytesMut::with_capacity(left.min(READ_BYTES));
            self.fill(&mut past, left.min(READ_BYTES)).await?;
            self.book(past.len()).await;
            left -= past.len();
        }
        Ok(None)
    }

    async fn fill(&mut self, into: &mut BytesMut, most: usize) -> std::io::Result<()> {
        let most = if self.common.download.is_some() { most.min(PACED_BYTES_MAX) } else { most };
        let read = timeout(Duration::from_secs(STALL_SECS_MAX), read_more(&mut self.tcp, into, most)).await;
        read.map_err(|_| stalled())?
    }

    async fn book(&self, bytes: usize) {
        if let Some(bucket) = &self.common.download {
            bucket.take(bytes as u64).await;
        }
    }
}

struct Writer {
    tcp: OwnedWriteHalf,
    peer: PeerKey,
    /// What the socket may hold.
    buffer_bytes: usize,
    common: Common,
}

impl Writer {
    async fn run(mut self, mut outgoing: mpsc::Receiver<Out>) -> std::io::Result<()> {
        let mut batch = Vec::new();
        while let Some(mut out) = outgoing.recv().await {
            batch.clear();
            let block = loop {
                if let Some(block) = self.gather(&mut batch, out).await {
                    break Some(block);
                }
                match outgoing.try_recv() {
                    Ok(next) if batch.len() < BATCH_BYTES => out = next,
                    Ok(next) => break self.gather(&mut batch, next).await,
                    Err(_) => break None,
                }
            };
            match block {
                None => write_all(self.tcp.as_ref(), &batch).await?,
                Some(block) => self.block(&mut batch, block).await?,
            }
        }
        Ok(())
    }

    /// Puts behind what is gathered what is to be sent, or gives the block that is.
    async fn gather(&self, batch: &mut Vec<u8>, out: Out) -> Option<Block> {
        match out {
            Out::Message(message) => to_wire(&message).encode(batch),
            Out::Metadata { id, part } => {
                let info = self.common.supply.metainfo().raw_info();
                let data = wire::metadata_part(info, part)?;
                if let Some(bucket) = &self.common.upload {
                    bucket.take(data.len() as u64).await;
                }
                let part = wire::MetadataMessage::Data { part, length_bytes: info.len() as u32, data };
                wire::Message::Extended { id, payload: &part.encode() }.encode(batch);
            }
            Out::Block(block) => return Some(block),
        }
        None
    }

    /// Sends a block behind what is gathered. One that is no longer there is told of in its place; one that goes while it
    /// is sent ends the connection: nothing else can be said once its head is out.
    async fn block(&mut self, batch: &mut Vec<u8>, block: Block) -> std::io::Result<()> {
        self.fit_buffer();
        let leaving = self.common.way_out.begin();
        let Some(parts) = self.common.supply.block(block).await else {
            write_all(self.tcp.as_ref(), batch).await?;
            let _ = self.common.to_owner.send(Input::Gone { peer: self.peer, block }).await;
            return Ok(());
        };
        wire::put_piece_head(batch, block.piece.get(), block.offset_bytes, block.length_bytes);
        send_more(self.tcp.as_ref(), batch).await?;
        for part in parts {
            match part {
                Part::File { file, offset_bytes, length_bytes } => {
                    self.file(&leaving, &file, offset_bytes, length_bytes).await?;
                }
                Part::Bytes(bytes) => self.bytes(&leaving, &bytes).await?,
                Part::Zeros(length) => self.bytes(&leaving, &vec![0; length as usize]).await?,
            }
        }
        if self.common.is_seed {
            within_stall(self.tcp.as_ref().async_io(Interest::WRITABLE, || has_room(self.tcp.as_ref()))).await?;
        }
        self.common.uploaded.fetch_add(u64::from(block.length_bytes), Ordering::Relaxed);
        let _ = self.common.to_owner.send(Input::Event(Event::BlockSent { peer: self.peer, block })).await;
        Ok(())
    }

    /// Lets the socket hold what fits the rate of the link, which becomes known on the way.
    fn fit_buffer(&mut self) {
        let bytes = self.common.way_out.buffer_bytes();
        if bytes != self.buffer_bytes {
            self.buffer_bytes = bytes;
            let _ = socket2::SockRef::from(self.tcp.as_ref()).set_send_buffer_size(bytes);
        }
    }

    async fn file(
        &self,
        leaving: &Leaving<'_>,
        file: &std::fs::File,
        mut offset: u64,
        length: u64,
    ) -> std::io::Result<()> {
        let end = offset + length;
        while offset < end {
            let until = offset + self.turn(leaving, end - offset).await?;
            while offset < until {
                offset += within_stall(send_file(self.tcp.as_ref(), file, offset, until - offset)).await?;
            }
        }
        Ok(())
    }

    /// Waits for the turn of a block of which so much is left; gives how much of it may be sent now. A socket that is full
    /// takes no turn from others.
    async fn turn(&self, leaving: &Leaving<'_>, left: u64) -> std::io::Result<u64> {
        if let Some(bucket) = &self.common.upload {
            let step = left.min(PACED_BYTES_MAX as u64);
            bucket.take(step).await;
            return Ok(step);
        }
        within_stall(self.tcp.as_ref().async_io(Interest::WRITABLE, || has_room(self.tcp.as_ref()))).await?;
        Ok(leaving.turn(left).await)
    }

    async fn bytes(&self, leaving: &Leaving<'_>, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(self.turn(leaving, bytes.len() as u64).await? as usize);
            write_all(self.tcp.as_ref(), now).await?;
            bytes = later;
        }
        Ok(())
    }
}

fn stalled() -> Error {
    Error::new(ErrorKind::TimedOut, "nothing came for too long")
}

/// As [`read_some`], from a connection that has been split: a read that does not fill its room is not tried again before
/// something comes.
async fn read_more(tcp: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut, most: usize) -> std::io::Result<()> {
    buffer.reserve(most.min(READ_BYTES));
    match tcp.read_buf(&mut buffer.limit(most)).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Reads at most so many bytes behind what is there; the end of the connection is an error.
pub(super) async fn read_some(tcp: &TcpStream, buffer: &mut BytesMut, most: usize) -> std::io::Result<()> {
    buffer.reserve(most.min(READ_BYTES));
    loop {
        tcp.readable().await?;
        match tcp.try_read_buf(&mut buffer.limit(most)) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

pub(super) async fn write_all(tcp: &TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    write_flagged(tcp, bytes, SendFlags::NOSIGNAL).await
}

/// Writes what more follows at once, so that the kernel may join them.
async fn send_more(tcp: &TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    write_flagged(tcp, bytes, SendFlags::NOSIGNAL | SendFlags::MORE).await
}

async fn write_flagged(tcp: &TcpStream, mut bytes: &[u8], flags: SendFlags) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let send = || Ok(rustix::net::send(tcp, bytes, flags)?);
        let sent = within_stall(tcp.async_io(Interest::WRITABLE, send)).await?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

async fn within_stall<T>(work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    timeout(Duration::from_secs(3 * STALL_SECS_MAX), work)
        .await
        .map_err(|_| Error::new(ErrorKind::TimedOut, "it took nothing for too long"))?
}

/// The bits of a bit field that an earlier one of the same length did not have.
fn new_bits(before: &[u8], now: &[u8]) -> impl Iterator<Item = u32> {
    let bits =
        |(place, byte): (u32, u8)| (0..8).filter(move |bit| byte & (0x80 >> bit) != 0).map(move |bit| place * 8 + bit);
    let fresh: Vec<u8> = before.iter().zip(now).map(|(before, now)| now & !before).collect();
    (0..).zip(fresh).flat_map(bits)
}

fn raw(block: BlockRequest) -> RawBlock {
    RawBlock { piece: block.piece, offset_bytes: block.offset_bytes, length_bytes: block.length_bytes }
}

/// A message from the wire as the session takes it; none for those it has no use for.
fn own(message: &wire::Message<'_>) -> Option<Message> {
    Some(match *message {
        wire::Message::KeepAlive => Message::KeepAlive,
        wire::Message::Choke => Message::Choke,
        wire::Message::Unchoke => Message::Unchoke,
        wire::Message::Interested => Message::Interested,
        wire::Message::NotInterested => Message::NotInterested,
        wire::Message::Have(piece) => Message::Have(piece),
        wire::Message::Bitfield(bytes) => Message::Bitfield(bytes.to_vec()),
        wire::Message::Request(block) => Message::Request(raw(block)),
        wire::Message::Cancel(block) => Message::Cancel(raw(block)),
        wire::Message::Reject(block) => Message::Reject(raw(block)),
        wire::Message::HaveAll => Message::HaveAll,
        wire::Message::HaveNone => Message::HaveNone,
        wire::Message::Extended { id, payload } => Message::Extended { id, payload: payload.to_vec() },
        wire::Message::Piece { .. }
        | wire::Message::Port(_)
        | wire::Message::Suggest(_)
        | wire::Message::AllowedFast(_)
        | wire::Message::Unknown(_) => return None,
    })
}

/// A message of the session as the wire takes it.
fn to_wire(message: &Message) -> wire::Message<'_> {
    let request = |block: &RawBlock| BlockRequest {
        piece: block.piece,
        offset_bytes: block.offset_bytes,
        length_bytes: block.length_bytes,
    };
    match message {
        Message::KeepAlive => wire::Message::KeepAlive,
        Message::Choke => wire::Message::Choke,
        Message::Unchoke => wire::Message::Unchoke,
        Message::Interested => wire::Message::Interested,
        Message::NotInterested => wire::Message::NotInterested,
        Message::Have(piece) => wire::Message::Have(*piece),
        Message::Bitfield(bytes) => wire::Message::Bitfield(bytes),
        Message::Request(block) => wire::Message::Request(request(block)),
        Message::Cancel(block) => wire::Message::Cancel(request(block)),
        Message::Reject(block) => wire::Message::Reject(request(block)),
        Message::HaveAll => wire::Message::HaveAll,
        Message::HaveNone => wire::Message::HaveNone,
        Message::Extended { id, payload } => wire::Message::Extended { id: *id, payload },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_field_that_comes_again_names_what_is_new() {
        let new = |before: &[u8], now: &[u8]| new_bits(before, now).collect::<Vec<_>>();
        assert_eq!(new(&[0b1010_0000, 0], &[0b1110_0000, 0b0000_0001]), [1, 15]);
        assert_eq!(new(&[0xff], &[0x00]), [0; 0], "what was had stays had");
    }
}
