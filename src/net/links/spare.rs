//! Buffers that held a block and are free again. A piece is longer than what the allocator keeps: fresh memory for each is
//! cleared by the kernel, page by page, and given back to it.
//!
//! Invariant: at most [`BUFFERS_MAX`], none longer than a block may be.

use bytes::{Bytes, BytesMut};
use std::sync::{Arc, Mutex};

/// Buffers that are kept: as many as blocks are on their way to the cache at one time.
const BUFFERS_MAX: usize = 16;
/// Shorter ones are the allocator's affair.
const BUFFER_BYTES_MIN: usize = 64 << 10;

/// Free buffers, shared by all connections of a swarm.
#[derive(Debug, Clone, Default)]
pub(super) struct Spare(Arc<Mutex<Vec<BytesMut>>>);

impl Spare {
    /// An empty buffer with room for so many bytes.
    pub(super) fn take(&self, length: usize) -> BytesMut {
        let mut buffer = match length {
            BUFFER_BYTES_MIN.. => self.lock().pop().unwrap_or_default(),
            _ => BytesMut::new(),
        };
        buffer.reserve(length);
        buffer
    }

    /// What was stored or is of no use; kept where nobody else holds it.
    pub(super) fn give(&self, blocks: Vec<Bytes>) {
        for block in blocks {
            if block.len() < BUFFER_BYTES_MIN {
                continue;
            }
            if let Ok(mut buffer) = block.try_into_mut() {
                buffer.clear();
                let mut buffers = self.lock();
                if buffers.len() < BUFFERS_MAX {
                    buffers.push(buffer);
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<BytesMut>> {
        self.0.lock().expect("nobody panics while holding the buffers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_nobody_holds_is_used_again() {
        let spare = Spare::default();
        let mut buffer = spare.take(100_000);
        let place = buffer.as_ptr();
        buffer.resize(100_000, 7);
        let block = buffer.freeze();
        spare.give(vec![block.clone()]);
        assert!(spare.lock().is_empty(), "the cache holds it");
        spare.give(vec![block]);
        let again = spare.take(90_000);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        for _ in 0..2 * BUFFERS_MAX {
            spare.give(vec![Bytes::from(vec![0; BUFFER_BYTES_MIN])]);
        }
        assert_eq!(spare.lock().len(), BUFFERS_MAX);
        assert!(spare.take(10).capacity() < BUFFER_BYTES_MIN, "short ones are not taken from it");
    }
}
