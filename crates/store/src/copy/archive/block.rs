//! The blocks of a file: kind, lengths, hash, compressed bytes.
//!
//! The hash is the SHA-256 of the hash before it, of kind and lengths, and of the compressed bytes.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use sha2::{Digest as _, Sha256};

pub(super) const HEAD: u8 = b'H';
pub(super) const TABLE: u8 = b'T';
pub(super) const ROWS: u8 = b'R';
pub(super) const MANIFEST: u8 = b'M';

/// Kind, length compressed, length, hash.
const PREFIX_BYTES: usize = 1 + 4 + 4;
const HASH_BYTES: usize = 32;

/// Fast: the bytes come quicker from a database than a high compression takes them.
const LEVEL: u32 = 3;

/// The hash of the last block, which the next one goes on from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain([u8; HASH_BYTES]);

impl Chain {
    fn next(self, prefix: &[u8], payload: &[u8]) -> Chain {
        let hash = Sha256::new().chain_update(self.0).chain_update(prefix).chain_update(payload).finalize();
        Chain(hash.into())
    }
}

/// A block as it was read.
pub(super) struct Block {
    pub(super) kind: u8,
    pub(super) payload: Vec<u8>,
}

/// Why a block cannot be read.
#[derive(Debug)]
pub(super) enum Broken {
    /// The file ends before the block does.
    CutOff,
    /// It is not what was written.
    Damaged,
    /// The system's words.
    Io(io::Error),
}

/// Appends a block.
pub(super) fn write(out: &mut impl Write, chain: &mut Chain, kind: u8, payload: &[u8]) -> io::Result<()> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(payload.len() / 2), Compression::new(LEVEL));
    encoder.write_all(payload)?;
    let packed = encoder.finish()?;
    let length = |length: usize| {
        u32::try_from(length)
            .map(u32::to_be_bytes)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a block is larger than four gigabytes"))
    };
    let mut prefix = [0; PREFIX_BYTES];
    prefix[0] = kind;
    prefix[1..5].copy_from_slice(&length(packed.len())?);
    prefix[5..].copy_from_slice(&length(payload.len())?);
    *chain = chain.next(&prefix, &packed);
    out.write_all(&prefix)?;
    out.write_all(&chain.0)?;
    out.write_all(&packed)
}

/// Reads the next block of a file that has so many bytes left; none: the file ends here.
pub(super) fn read(from: &mut impl Read, chain: &mut Chain, left: &mut u64) -> Result<Option<Block>, Broken> {
    if *left == 0 {
        return Ok(None);
    }
    let mut prefix = [0; PREFIX_BYTES];
    let mut hash = [0; HASH_BYTES];
    take(from, &mut prefix, left)?;
    take(from, &mut hash, left)?;
    let length = |at: usize| u32::from_be_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]]);
    let (packed, length) = (length(1), length(5));
    // Before room is made for it: what a damaged length asks for is not there.
    if u64::from(packed) > *left {
        return Err(Broken::CutOff);
    }
    let mut payload = vec![0; packed as usize];
    take(from, &mut payload, left)?;
    let found = chain.next(&prefix, &payload);
    if found.0 != hash {
        return Err(Broken::Damaged);
    }
    *chain = found;
    let mut unpacked = Vec::with_capacity(length as usize);
    let mut decoder = ZlibDecoder::new(&payload[..]).take(u64::from(length));
    decoder.read_to_end(&mut unpacked).map_err(|_| Broken::Damaged)?;
    if unpacked.len() != length as usize {
        return Err(Broken::Damaged);
    }
    Ok(Some(Block { kind: prefix[0], payload: unpacked }))
}

fn take(from: &mut impl Read, bytes: &mut [u8], left: &mut u64) -> Result<(), Broken> {
    *left = left.checked_sub(bytes.len() as u64).ok_or(Broken::CutOff)?;
    from.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Broken::CutOff,
        _ => Broken::Io(error),
    })
}
