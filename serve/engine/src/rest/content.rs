//! Bodies and headers: reading and unpacking requests, packing replies, CORS.

use std::io::Write;
use std::pin::pin;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};

use crate::access_log::Notes;
use crate::error::{Error, Result};
use crate::unpacking::{MAX_UNPACKED_BYTES, Packing, unpack};

/// The largest body that is read; the same as for a gRPC message.
const MAX_BODY_BYTES: usize = i32::MAX as usize;

/// A body has memory for what its header announces, as long as that is not more than this.
const MAX_RESERVED_BYTES: usize = 16 << 20;

/// Below this a packed reply is hardly smaller and costs more than it saves.
const MIN_PACKED_BYTES: usize = 1024;

/// The body of a request, unpacked. A gzip body that cannot be read, or is too large, counts as empty, as upstream.
pub async fn read(request: Request<Incoming>, notes: &Notes) -> Result<Bytes> {
    let packed = request.headers().get(CONTENT_ENCODING).is_some_and(|value| value.as_bytes() == b"gzip");
    let body = join(Limited::new(request.into_body(), MAX_BODY_BYTES)).await;
    let body = body.map_err(|error| Error::invalid(format!("cannot read the request's body: {error}")))?;
    notes.received(body.len());
    if !packed {
        return Ok(body);
    }
    Ok(unpack(&body, Packing::Gzip, MAX_UNPACKED_BYTES).ok().flatten().unwrap_or_default())
}

/// All of a body in one piece. Each part is let go before the next one is read, so that they can all have the same memory.
async fn join<B: Body<Data = Bytes>>(body: B) -> std::result::Result<Bytes, B::Error> {
    let mut body = pin!(body);
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or_default();
    let mut joined = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(part) = frame?.into_data() else { continue };
        if joined.is_empty() && body.is_end_stream() {
            return Ok(part);
        }
        if joined.is_empty() {
            joined.reserve(announced.min(MAX_RESERVED_BYTES));
        }
        joined.extend_from_slice(&part);
    }
    Ok(joined.into())
}

pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next() == Some("gzip") && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0"))
        })
}

/// A JSON reply, packed if the client takes that and it is worth it.
pub fn response(body: Vec<u8>, accepts_gzip: bool) -> Response<Full<Bytes>> {
    let packed = if accepts_gzip && body.len() >= MIN_PACKED_BYTES { pack(&body) } else { None };
    let is_packed = packed.is_some();
    let mut response = Response::new(Full::new(Bytes::from(packed.unwrap_or(body))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    response
}

fn pack(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// The page that Prometheus reads.
pub fn metrics(text: Result<Vec<u8>>) -> Response<Full<Bytes>> {
    let (status, body) = match text {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.message.into_bytes()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// The answer to OPTIONS, which is empty: a refusal if no browser has asked.
pub fn preflight(headers: &HeaderMap, cors: bool) -> Response<Full<Bytes>> {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
    let is_browser = origin.starts_with("http://") || origin.starts_with("https://");
    let mut response = Response::default();
    *response.status_mut() = if is_browser { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    if cors {
        allow_any_origin(response.headers_mut());
    }
    response
}

pub fn allow_any_origin(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type"));
}
