//! Metadata files, uncompressed as a stream: gzip, xz, zstd or plain, told apart by their first bytes.
//!
//! Nothing here trusts a size: a file that unpacks into more than its limit is an error, not a full memory.

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{BufRead, BufReader, Error, Read, Result};

/// A metadata file has at most this many bytes as it lies on disk.
pub const METADATA_FILE_BYTES_MAX: u64 = 1 << 30;
/// A metadata file has at most this many bytes unpacked (the file list of all of Fedora has about 1.5 GB).
pub const METADATA_OPEN_BYTES_MAX: u64 = 8 << 30;
/// Memory an xz or zstd stream may ask for.
const WINDOW_BYTES_MAX: u64 = 256 << 20;

/// Reads `bytes` unpacked; more than `open_bytes_max` of them are an error.
pub(super) fn unpack(bytes: &[u8], open_bytes_max: u64) -> Result<impl BufRead + use<'_>> {
    let reader: Box<dyn BufRead> = if bytes.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(1 << 16, flate2::bufread::MultiGzDecoder::new(bytes)))
    } else if bytes.starts_with(b"\xfd7zXZ\0") {
        let stream = liblzma::stream::Stream::new_stream_decoder(WINDOW_BYTES_MAX, liblzma::stream::CONCATENATED)?;
        Box::new(BufReader::with_capacity(1 << 16, liblzma::bufread::XzDecoder::new_stream(bytes, stream)))
    } else if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(BufReader::with_capacity(1 << 16, ZstdFrames::new(bytes)))
    } else if bytes.starts_with(b"BZh") {
        return Err(Error::other("is compressed with bzip2: run createrepo_c with gz, xz or zstd"));
    } else if bytes.starts_with(b"\0ZCK") {
        return Err(Error::other("is a zchunk file"));
    } else {
        Box::new(bytes)
    };
    Ok(Limited { reader, left_bytes: open_bytes_max })
}

/// The text of zstd frames, one behind the other (RFC 8878), skippable ones left out.
struct ZstdFrames<'a> {
    rest: &'a [u8],
    decoder: FrameDecoder,
    is_inside: bool,
}

impl<'a> ZstdFrames<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_BYTES_MAX);
        Self { rest: bytes, decoder, is_inside: false }
    }

    /// Goes into the next frame; false where there is none.
    fn enter(&mut self) -> Result<bool> {
        while !self.rest.is_empty() {
            match self.decoder.reset(&mut self.rest) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let behind = usize::try_from(length).ok().and_then(|length| self.rest.get(length..));
                    self.rest = behind.ok_or_else(|| Error::other("ends inside a skippable zstd frame"))?;
                }
                Err(error) => return Err(Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl Read for ZstdFrames<'_> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        loop {
            if !self.is_inside {
                if !self.enter()? {
                    return Ok(0);
                }
                self.is_inside = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.rest, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(Error::other)?;
            }
            match self.decoder.read(out)? {
                0 if !out.is_empty() && self.decoder.is_finished() => {
                    let told = self.decoder.get_checksum_from_data();
                    if told.is_some_and(|told| self.decoder.get_calculated_checksum() != Some(told)) {
                        return Err(Error::other("has a zstd frame of the wrong checksum"));
                    }
                    self.is_inside = false;
                }
                count => return Ok(count),
            }
        }
    }
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
        vec![text.to_vec(), gz.finish().expect("memory"), xz.finish().expect("memory"), zstd(text)]
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
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

    #[test]
    fn zstd_frames_follow_each_other_and_skippable_ones_are_left_out() {
        let mut bytes = zstd(b"<metadata>");
        bytes.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, b'x', b'y', b'z']);
        bytes.extend(zstd(&b"<package/>".repeat(30_000)));
        let text = text_of(&bytes, 1 << 20).expect("unpacked");
        assert!(text == format!("<metadata>{}", "<package/>".repeat(30_000)));
        assert!(text_of(&bytes[..bytes.len() - 1], 1 << 20).is_err(), "the end of the last frame is missing");
        assert!(text_of(&bytes[..zstd(b"<metadata>").len() + 9], 1 << 20).is_err(), "the skipped frame is cut");
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
