//! The two headers of an RPM package, looked at before the `rpm` crate reads them. It sets memory aside for as many items
//! as an entry claims, and slices where an entry points: by its source a package of a few bytes could end the program.
//!
//! Invariant: what an accepted entry claims is there, and all entries of a header claim no more than its data. The rpm
//! program lets no two entries overlap either.

use std::io::Read;

const LEAD_BYTES: usize = 96;
/// What a header begins with, and as long as each of its entries.
const INTRO_BYTES: usize = 16;
const MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 1];
/// The most entries of a header, as the rpm program has it.
const ENTRIES_MAX: usize = 0xffff;
/// The most data of a header: a package of 100,000 files has about 20 MB.
const DATA_BYTES_MAX: usize = 64 << 20;

/// The beginning of a package: all that stands before its payload.
#[derive(Debug)]
pub(super) struct Headers {
    /// The lead and both headers.
    pub(super) bytes: Vec<u8>,
    /// Where the second header begins, which tells of the package; before it stands that of the signatures.
    pub(super) main_at: usize,
}

impl Headers {
    /// Reads as far as the payload. What is wrong is said as the end of a sentence.
    pub(super) fn read(reader: &mut impl Read) -> Result<Self, String> {
        let mut bytes = Vec::new();
        take(reader, LEAD_BYTES, &mut bytes)?;
        let data_bytes = read_header(reader, &mut bytes)?;
        take(reader, data_bytes.next_multiple_of(8) - data_bytes, &mut bytes)?;
        let main_at = bytes.len();
        read_header(reader, &mut bytes)?;
        Ok(Self { bytes, main_at })
    }
}

/// Reads a header behind what was read; gives the length of its data.
fn read_header(reader: &mut impl Read, bytes: &mut Vec<u8>) -> Result<usize, String> {
    let at = bytes.len();
    take(reader, INTRO_BYTES, bytes)?;
    if !bytes[at..].starts_with(&MAGIC) {
        return Err("a header has another beginning".into());
    }
    let (entries, data_bytes) = (number(&bytes[at..], 8), number(&bytes[at..], 12));
    if entries > ENTRIES_MAX || data_bytes > DATA_BYTES_MAX {
        return Err("a header is too long".into());
    }
    let data_at = INTRO_BYTES * (1 + entries);
    take(reader, data_at - INTRO_BYTES + data_bytes, bytes)?;
    let (index, data) = bytes[at + INTRO_BYTES..].split_at(data_at - INTRO_BYTES);
    let mut left_bytes = data.len();
    for entry in index.chunks_exact(INTRO_BYTES) {
        let claimed = claimed_bytes(entry, data).ok_or("an entry of a header leads beyond its end")?;
        left_bytes = left_bytes.checked_sub(claimed).ok_or("the entries of a header overlap")?;
    }
    Ok(data_bytes)
}

/// How many bytes of the data an entry claims; none where they are not there.
fn claimed_bytes(entry: &[u8], data: &[u8]) -> Option<usize> {
    let (kind, offset, count) = (number(entry, 4), number(entry, 8), number(entry, 12));
    let data = data.get(offset..)?;
    let claimed = match kind {
        0 => 0,
        1 | 2 | 7 => count,
        3 => count.checked_mul(2)?,
        4 => count.checked_mul(4)?,
        5 => count.checked_mul(8)?,
        // Strings end with a zero each.
        6 if count != 1 => return None,
        6 | 8 | 9 if count > 0 => memchr::memchr_iter(0, data).nth(count - 1)? + 1,
        8 | 9 => 0,
        _ => return None,
    };
    (claimed <= data.len()).then_some(claimed)
}

/// The 32-bit number that stands there.
fn number(bytes: &[u8], at: usize) -> usize {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes) as usize)
}

/// Reads so many bytes behind what was read, and sets memory aside for no more than there are.
fn take(reader: &mut impl Read, count: usize, bytes: &mut Vec<u8>) -> Result<(), String> {
    let read = reader.take(count as u64).read_to_end(bytes).map_err(|error| error.to_string())?;
    if read == count { Ok(()) } else { Err("it is cut off".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A package of this header; that of the signatures is empty.
    fn package(entries: &[[u32; 4]], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xed, 0xab, 0xee, 0xdb];
        bytes.resize(LEAD_BYTES, 0);
        for (entries, data) in [(&[][..], &[][..]), (entries, data)] {
            bytes.extend(MAGIC);
            let lengths = [0, entries.len() as u32, data.len() as u32];
            bytes.extend(lengths.iter().chain(entries.as_flattened()).flat_map(|number| number.to_be_bytes()));
            bytes.extend(data);
        }
        bytes
    }

    #[test]
    fn what_is_not_there_is_refused_before_memory_is_set_aside() {
        let read = |entries: &[[u32; 4]]| {
            let bytes = [package(entries, b"ab\0c\0\0\0\0").as_slice(), b"payload"].concat();
            let mut rest = bytes.as_slice();
            let headers = Headers::read(&mut rest)?;
            assert_eq!((headers.main_at, rest), (LEAD_BYTES + INTRO_BYTES, &b"payload"[..]));
            Ok(rpm::PackageMetadata::parse(&mut headers.bytes.as_slice()).is_ok())
        };
        for good in [[5092, 8, 0, 2], [5092, 8, 8, 0], [5093, 4, 4, 1], [1, 7, 0, 8], [1, 0, 8, 9], [1, 6, 3, 1]] {
            assert_eq!(read(&[good]), Ok(true), "{good:?}");
        }
        let beyond = Err("an entry of a header leads beyond its end".to_owned());
        for bad in [
            [5092, 8, 0, 7],
            [5092, 8, 0, u32::MAX],
            [5093, 4, 0, u32::MAX],
            [5093, 4, 0, 3],
            [5093, 5, 0, 0x2000_0001],
            [1000, 6, 9, 1],
            [1000, 6, u32::MAX, 1],
            [1000, 6, 0, 2],
            [1000, 7, 1, 8],
            [1000, 10, 0, 1],
        ] {
            assert_eq!(read(&[bad]), beyond, "{bad:?}");
        }
        assert_eq!(read(&[[1, 6, 0, 1], [2, 6, 3, 1]]), Ok(true));
        assert_eq!(read(&[[1, 7, 0, 8], [2, 6, 3, 1]]), Err("the entries of a header overlap".into()));
    }

    #[test]
    fn a_header_of_impossible_length_is_refused() {
        let mut bytes = package(&[], &[]);
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(Headers::read(&mut bytes.as_slice()).err().as_deref(), Some("a header is too long"));
        bytes[at..].copy_from_slice(&9_u32.to_be_bytes());
        assert_eq!(Headers::read(&mut bytes.as_slice()).err().as_deref(), Some("it is cut off"));
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_read_by_the_crate_without_panic(
            entries in prop::collection::vec((0_u32..10, 0_u32..40, 0_u32..9), 0..6),
            data in prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..40),
        ) {
            let tags = [5092, 5093, 1000, 1044, 62, 63];
            let entries: Vec<[u32; 4]> =
                entries.into_iter().zip(tags).map(|((kind, offset, count), tag)| [tag, kind, offset, count]).collect();
            if let Ok(headers) = Headers::read(&mut package(&entries, &data).as_slice()) {
                let package = rpm::PackageMetadata::parse(&mut headers.bytes.as_slice());
                let package = package.expect("each entry is there");
                _ = package.header.get_entry_data_as_string_array(rpm::IndexTag::RPMTAG_PAYLOADSHA256);
                _ = package.header.get_entry_data_as_binary(rpm::IndexTag::RPMTAG_PAYLOADSHA256);
            }
        }
    }
}
