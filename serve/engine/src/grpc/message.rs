//! The message of a unary call as it comes: a byte that says whether it is compressed, four with its length, then itself.
//!
//! tonic reads streams of messages, each copied into a buffer of its own. There is one here, which mostly comes in one
//! frame of HTTP/2 and can stay in it.

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::Body;
use tonic::Status;

use crate::tensorflow::ALIGNMENT;
use crate::unpacking::{Packing, unpack};
use crate::wire::cut_off_at;

/// What stands before a message.
pub const PREFIX_BYTES: usize = 5;

/// Where tensors stand in a `PredictRequest { inputs = 2 { value = 2 } }` and a `SessionRunRequest { feed = 2 { tensor = 2 } }`.
const TENSORS: [u32; 2] = [2, 2];

/// How many bytes a message may have.
#[derive(Clone, Copy)]
pub struct Limits {
    pub as_sent: usize,
    pub unpacked: usize,
}

/// Read the message of a call to the end of the client's side.
pub async fn read<B: Body<Data = Bytes> + Unpin>(
    headers: &HeaderMap,
    mut body: B,
    limits: Limits,
) -> Result<Bytes, Status> {
    let mut bytes = next(&mut body).await?.ok_or_else(|| Status::internal("Missing request message."))?;
    while bytes.len() < PREFIX_BYTES {
        bytes = [bytes, next(&mut body).await?.ok_or_else(cut_off)?].concat().into();
    }
    let flag = bytes.get_u8();
    let length = bytes.get_u32() as usize;
    if length > limits.as_sent {
        return Err(too_long(length, limits.as_sent));
    }
    let message = if length <= bytes.len() { bytes.split_to(length) } else { join(&bytes, length, &mut body).await? };
    while next(&mut body).await?.is_some() {}
    match flag {
        0 => Ok(message),
        1 => decompress(headers, &message, limits.unpacked),
        _ => Err(Status::internal(format!("Bad compressed flag: {flag}"))),
    }
}

/// The next bytes; None at the end, or if the client has given up.
async fn next<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Result<Option<Bytes>, Status> {
    match body.frame().await {
        // Trailers end a request, and none mean anything here.
        Some(Ok(frame)) => Ok(frame.into_data().ok()),
        Some(Err(_)) => Err(Status::cancelled("the client gave up its request")),
        None => Ok(None),
    }
}

/// Bring a message of many frames into one buffer, a tensor's bytes to where TensorFlow can use them as they are.
async fn join<B: Body<Data = Bytes> + Unpin>(first: &[u8], length: usize, body: &mut B) -> Result<Bytes, Status> {
    let mut joined: Vec<u8> = Vec::new();
    joined
        .try_reserve_exact(length + ALIGNMENT)
        .map_err(|_| Status::resource_exhausted(format!("no memory for a message of {length} bytes")))?;
    let tensor = cut_off_at(first, &TENSORS).unwrap_or_default();
    let start = joined.as_ptr().wrapping_add(tensor).align_offset(ALIGNMENT);
    let end = start + length;
    joined.resize(start, 0);
    joined.extend_from_slice(first);
    while joined.len() < end {
        let more = next(body).await?.ok_or_else(cut_off)?;
        joined.extend_from_slice(&more[..more.len().min(end - joined.len())]);
    }
    Ok(Bytes::from(joined).slice(start..))
}

fn decompress(headers: &HeaderMap, message: &[u8], limit: usize) -> Result<Bytes, Status> {
    let packing = match headers.get("grpc-encoding").map_or(&b"identity"[..], HeaderValue::as_bytes) {
        b"gzip" => Packing::Gzip,
        b"deflate" => Packing::Deflate,
        // As the specification has it: the flag must not be set then.
        b"identity" => return Err(Status::internal("a message is compressed, but grpc-encoding names no way")),
        encoding => return Err(unknown_encoding(encoding)),
    };
    let unpacked = unpack(message, packing, limit);
    let unpacked =
        unpacked.map_err(|error| Status::internal(format!("a compressed message cannot be read: {error}")))?;
    unpacked.ok_or_else(|| {
        let message = format!(
            "Received message decompresses to more than max ({limit} bytes); the server's \
             --grpc_channel_arguments=grpc.max_receive_message_length=BYTES sets it"
        );
        Status::resource_exhausted(message)
    })
}

fn unknown_encoding(encoding: &[u8]) -> Status {
    let encoding = String::from_utf8_lossy(encoding);
    let mut status = Status::unimplemented(format!("messages compressed with {encoding} cannot be read"));
    status
        .metadata_mut()
        .insert("grpc-accept-encoding", tonic::metadata::MetadataValue::from_static("identity,deflate,gzip"));
    status
}

/// In the words of gRPC's C core.
fn too_long(length: usize, limit: usize) -> Status {
    Status::resource_exhausted(format!("Received message larger than max ({length} vs. {limit})"))
}

fn cut_off() -> Status {
    Status::internal("the request ends within its message")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Read;

    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;
    use crate::wire::{write_bytes, write_varint_field};

    fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).expect("short");
        [&[flag], &length.to_be_bytes()[..], message].concat()
    }

    fn read_pieces(headers: &HeaderMap, pieces: &[&[u8]], limit: usize) -> Result<Bytes, Status> {
        let frames: Vec<_> =
            pieces.iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        let limits = Limits { as_sent: limit, unpacked: limit };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(read(headers, StreamBody::new(tokio_stream::iter(frames)), limits))
    }

    fn code(headers: &HeaderMap, sent: &[u8]) -> Code {
        read_pieces(headers, &[sent], 100).expect_err("refused").code()
    }

    fn packed(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-encoding"), HeaderValue::from_static(encoding))])
    }

    proptest! {
        #[test]
        fn a_message_comes_whole_in_whatever_pieces(message: Vec<u8>, size in 1usize..40, surplus in 0usize..20) {
            let sent = [framed(0, &message), vec![7; surplus]].concat();
            let pieces: Vec<_> = sent.chunks(size).collect();
            prop_assert_eq!(read_pieces(&HeaderMap::new(), &pieces, 1 << 20).expect("read"), message);
        }

        #[test]
        fn a_message_that_is_cut_off_is_an_error(message: Vec<u8>, left_out in 1usize..200, size in 1usize..40) {
            let sent = framed(0, &message);
            let pieces: Vec<_> = sent[..sent.len().saturating_sub(left_out)].chunks(size).collect();
            prop_assert!(read_pieces(&HeaderMap::new(), &pieces, 1 << 20).is_err());
        }
    }

    #[test]
    fn a_tensor_in_many_frames_is_aligned() {
        let (mut tensor, mut entry, mut request) = (Vec::new(), Vec::new(), Vec::new());
        write_varint_field(&mut tensor, 1, 1);
        write_bytes(&mut tensor, 4, &[42; 5000]);
        write_bytes(&mut entry, 1, b"x");
        write_bytes(&mut entry, 2, &tensor);
        write_bytes(&mut request, 1, b"spec");
        write_bytes(&mut request, 2, &entry);
        let sent = framed(0, &request);
        let message = read_pieces(&HeaderMap::new(), &sent.chunks(100).collect::<Vec<_>>(), 1 << 20).expect("read");
        let content = message.iter().position(|byte| *byte == 42).expect("content");
        assert_eq!((&message[..], message[content..].as_ptr().align_offset(ALIGNMENT)), (&request[..], 0));
    }

    #[test]
    fn what_is_compressed_may_not_grow_beyond_the_limit() {
        for (encoding, pack) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("deflate", zlib)] {
            let headers = packed(encoding);
            assert_eq!(read_pieces(&headers, &[&framed(1, &pack(&[9; 100]))], 100).expect("read"), vec![9; 100]);
            assert_eq!(code(&headers, &framed(1, &pack(&[9; 101]))), Code::ResourceExhausted);
            assert_eq!(code(&headers, &framed(1, b"neither")), Code::Internal);
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        flate2::read::GzEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut packed).expect("memory");
        packed
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        flate2::read::ZlibEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut packed).expect("memory");
        packed
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let none = HeaderMap::new();
        assert_eq!(code(&none, &[]), Code::Internal);
        assert_eq!(code(&none, &framed(2, b"flag")), Code::Internal);
        assert_eq!(code(&none, &framed(1, b"no encoding")), Code::Internal);
        assert_eq!(code(&none, &[0, 255, 255, 255, 255]), Code::ResourceExhausted);
        let status = read_pieces(&packed("snappy"), &[&framed(1, b"message")], 100).expect_err("unknown");
        assert_eq!(status.code(), Code::Unimplemented);
        assert!(status.metadata().contains_key("grpc-accept-encoding"));
    }
}
