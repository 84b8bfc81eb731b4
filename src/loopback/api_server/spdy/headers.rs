//! Header blocks: name and value pairs, compressed with one context per direction and connection.

use std::io;

use bytes::{Buf, BufMut, Bytes};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The most that a block may unpack to.
const LARGEST: usize = 64 << 10;

/// Words of the dictionary that are preceded by their length.
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding \
    accept-language accept-ranges age allow authorization cache-control connection content-base \
    content-encoding content-language content-length content-location content-md5 content-range \
    content-type date etag expect expires from host if-match if-modified-since if-none-match \
    if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate \
    proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
    user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url \
    public set-cookie keep-alive origin";

/// The rest of the dictionary.
const TEXT: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416\
    417502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request\
    401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 \
    Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, \
    Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,\
    application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch\
    charset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

/// The dictionary of SPDY/3, section 2.6.10.1 of the draft.
pub(super) fn dictionary() -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in WORDS.split(' ') {
        let word = word.replace('_', " ");
        bytes.put_u32(u32::try_from(word.len()).unwrap_or_default());
        bytes.put_slice(word.as_bytes());
    }
    bytes.put_slice(TEXT.as_bytes());
    bytes
}

/// Packs the blocks that are sent.
pub(super) struct Packer {
    context: Compress,
}

impl Packer {
    pub(super) fn new() -> io::Result<Self> {
        let mut context = Compress::new(Compression::fast(), true);
        context
            .set_dictionary(&dictionary())
            .map_err(io::Error::other)?;
        Ok(Self { context })
    }

    pub(super) fn pack(&mut self, headers: &[(&str, &str)]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        put_length(&mut plain, headers.len());
        for (name, value) in headers {
            for text in [name, value] {
                put_length(&mut plain, text.len());
                plain.put_slice(text.as_bytes());
            }
        }
        let mut packed = Vec::with_capacity(plain.len() + 64);
        let start = self.context.total_in();
        loop {
            let done = usize::try_from(self.context.total_in() - start).unwrap_or(plain.len());
            self.context
                .compress_vec(&plain[done..], &mut packed, FlushCompress::Sync)
                .map_err(io::Error::other)?;
            // Room that was not needed: everything has been flushed.
            if packed.len() < packed.capacity() {
                return Ok(packed);
            }
            packed.reserve(256);
        }
    }
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

/// Unpacks the blocks that are received.
pub(super) struct Unpacker {
    context: Decompress,
    dictionary: Vec<u8>,
}

impl Unpacker {
    pub(super) fn new() -> Self {
        Self {
            context: Decompress::new(true),
            dictionary: dictionary(),
        }
    }

    /// Names and values of a block.
    ///
    /// # Errors
    /// When the block is not of the format, or larger than [`LARGEST`].
    pub(super) fn unpack(&mut self, packed: &[u8]) -> io::Result<Vec<(String, String)>> {
        let mut plain = Vec::with_capacity(1024);
        let mut rest = packed;
        loop {
            let before = self.context.total_in();
            let step = self
                .context
                .decompress_vec(rest, &mut plain, FlushDecompress::Sync);
            let used = usize::try_from(self.context.total_in() - before).unwrap_or(rest.len());
            rest = &rest[used..];
            match step {
                Ok(Status::StreamEnd) => break,
                Ok(Status::Ok | Status::BufError) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.context
                        .set_dictionary(&self.dictionary)
                        .map_err(io::Error::other)?;
                    continue;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
            if plain.len() > LARGEST {
                return Err(malformed());
            }
            if plain.len() < plain.capacity() {
                if rest.is_empty() {
                    break;
                }
                return Err(malformed());
            }
            plain.reserve(1024);
        }
        pairs(Bytes::from(plain)).ok_or_else(malformed)
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the header block is malformed")
}

fn pairs(mut plain: Bytes) -> Option<Vec<(String, String)>> {
    let count = plain.try_get_u32().ok()?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        pairs.push((text(&mut plain)?, text(&mut plain)?));
    }
    Some(pairs)
}

fn text(plain: &mut Bytes) -> Option<String> {
    let length = usize::try_from(plain.try_get_u32().ok()?).ok()?;
    if length > plain.len() {
        return None;
    }
    String::from_utf8(plain.split_to(length).to_vec()).ok()
}
