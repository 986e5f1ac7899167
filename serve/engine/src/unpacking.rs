//! Unpacking what clients have compressed, never beyond a limit: a few KB can stand for all of a machine's memory.

use std::io::{Read, Result};

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};

/// The most that a request may unpack to if nothing else is said; upstream's number for REST bodies.
pub const MAX_UNPACKED_BYTES: usize = 100 << 20;

/// How bytes are packed.
#[derive(Clone, Copy)]
pub enum Packing {
    Gzip,
    /// What HTTP and gRPC call deflate: a zlib stream.
    Deflate,
}

/// Unpack `packed`; None if there is more in it than `limit` bytes.
pub fn unpack(packed: &[u8], packing: Packing, limit: usize) -> Result<Option<Bytes>> {
    let mut unpacked = Vec::new();
    let most = limit as u64 + 1;
    match packing {
        Packing::Gzip => MultiGzDecoder::new(packed).take(most).read_to_end(&mut unpacked),
        Packing::Deflate => ZlibDecoder::new(packed).take(most).read_to_end(&mut unpacked),
    }?;
    Ok((unpacked.len() <= limit).then(|| unpacked.into()))
}
