//! The transport over UDP (BEP 29), as far as it takes to say that it is not spoken here.
//!
//! Some clients try it first, and turn to TCP only once they have heard that nobody answers: transmission 3.00 looks for
//! that in no other way than in the datagrams it receives.

/// The shortest packet: a header without extensions.
const HEADER_BYTES: usize = 20;
/// The first byte of a packet that opens a connection: kind 4, version 1.
const SYN: u8 = 0x41;
/// The first byte of a packet that ends one: kind 3, version 1.
const RESET: u8 = 0x31;

/// What answers a datagram that would open a connection; `None` for any other. The answer is never longer than what it
/// answers.
pub fn refusal(datagram: &[u8]) -> Option<[u8; HEADER_BYTES]> {
    let header: &[u8; HEADER_BYTES] = datagram.first_chunk()?;
    if header[0] != SYN {
        return None;
    }
    let mut reset = [0; HEADER_BYTES];
    reset[0] = RESET;
    // The connection's number, and what is acknowledged: the number of the packet that opened it.
    reset[2..4].copy_from_slice(&header[2..4]);
    reset[18..20].copy_from_slice(&header[16..18]);
    Some(reset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_connection_is_refused_under_its_own_number() {
        // As transmission 3.00 sent it: header, an extension, a payload of nothing.
        let mut syn = vec![0x41, 2, 0xab, 0xcd, 1, 2, 3, 4, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0x12, 0x34, 0, 0];
        syn.extend([0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        let reset = refusal(&syn).expect("it opens a connection");
        assert_eq!((reset[0], &reset[2..4], &reset[18..]), (0x31, &[0xab, 0xcd][..], &[0x12, 0x34][..]));
        assert_eq!(refusal(&reset), None, "a refusal is not refused");
        assert_eq!(refusal(&syn[..19]), None);
    }

    proptest! {
        #[test]
        fn only_what_opens_a_connection_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let opens = bytes.len() >= HEADER_BYTES && bytes[0] == SYN;
            prop_assert_eq!(refusal(&bytes).is_some(), opens);
        }
    }
}
