//! Metadata files, uncompressed as a stream: gzip, xz, zstd or plain, told apart by their first bytes.
//!
//! Nothing here trusts a size: a file that unpacks into more than its limit is an error, not a full memory.

use std::io::{BufRead, BufReader, Error, Read, Result};

/// A metadata file has at most this many bytes as it lies on disk.
pub const METADATA_FILE_BYTES_MAX: u64 = 1 << 30;
/// A metadata file has at most this many bytes unpacked (the file list of all of Fedora has about 1.5 GB).
pub const METADATA_OPEN_BYTES_MAX: u64 = 8 << 30;
/// Memory an xz or zstd stream may ask for.
const WINDOW_BYTES_MAX: u64 = 256 << 20;
/// The largest zstd window, as a power of two.
const WINDOW_LOG_MAX: u32 = WINDOW_BYTES_MAX.ilog2();

/// Reads `bytes` unpacked; more than `open_bytes_max` of them are an error.
pub(super) fn unpack(bytes: &[u8], open_bytes_max: u64) -> Result<impl BufRead + use<'_>> {
    let reader: Box<dyn BufRead> = if bytes.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(1 << 16, flate2::bufread::MultiGzDecoder::new(bytes)))
    } else if bytes.starts_with(b"\xfd7zXZ\0") {
        let stream = liblzma::stream::Stream::new_stream_decoder(WINDOW_BYTES_MAX, liblzma::stream::CONCATENATED)?;
        Box::new(BufReader::with_capacity(1 << 16, liblzma::bufread::XzDecoder::new_stream(bytes, stream)))
    } else if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Box::new(BufReader::with_capacity(1 << 16, decoder))
    } else if bytes.starts_with(b"BZh") {
        return Err(Error::other("is compressed with bzip2: run createrepo_c with gz, xz or zstd"));
    } else if bytes.starts_with(b"\0ZCK") {
        return Err(Error::other("is a zchunk file"));
    } else {
        Box::new(bytes)
    };
    Ok(Limited { reader, left_bytes: open_bytes_max })
}

/// A reader that fails where it would give more than it may.
struct Limited<R> {
    reader: R,
    left_bytes: u64,
}

impl<R: BufRead> BufRead for Limited<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        let buffer = self.reader.fill_buf()?;
        if buffer.len() as u64 > self.left_bytes && self.left_bytes == 0 {
            return Err(Error::other("unpacks into more bytes than its limit"));
        }
        let allowed = buffer.len().min(usize::try_from(self.left_bytes).unwrap_or(usize::MAX));
        Ok(&buffer[..allowed])
    }

    fn consume(&mut self, count: usize) {
        self.left_bytes -= count as u64;
        self.reader.consume(count);
    }
}

impl<R: BufRead> Read for Limited<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn packed(text: &[u8]) -> Vec<Vec<u8>> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text).expect("memory");
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(text).expect("memory");
        vec![
            text.to_vec(),
            gz.finish().expect("memory"),
            xz.finish().expect("memory"),
            zstd::stream::encode_all(text, 1).expect("memory"),
        ]
    }

    fn text_of(bytes: &[u8], limit: u64) -> Result<String> {
        let mut text = String::new();
        unpack(bytes, limit)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn every_form_gives_the_same_text_up_to_its_limit() {
        let text = "<metadata/>".repeat(20_000);
        for bytes in packed(text.as_bytes()) {
            assert!(text_of(&bytes, text.len() as u64).expect("unpacked") == text);
            assert!(text_of(&bytes, text.len() as u64 - 1).is_err(), "{:?}", &bytes[..4]);
        }
        assert!(text_of(b"BZh9", 100).is_err());
    }

    proptest! {
        #[test]
        fn spoiled_streams_are_errors_or_text_never_panics(at in 0usize..200, byte: u8) {
            for mut bytes in packed("<metadata packages='1'/>".repeat(40).as_bytes()) {
                let at = at % bytes.len();
                bytes[at] = byte;
                let _ = text_of(&bytes, 1 << 16);
                let _ = text_of(&bytes[..at], 1 << 16);
            }
        }
    }
}
