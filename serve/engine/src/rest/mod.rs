//! The REST listener: `/v1/models/...` over HTTP/1.1 (and HTTP/2 without TLS).

mod content;
mod default_tensor;
mod examples;
mod inference;
mod json_writer;
mod metadata;
mod path;
mod predict;
mod status;

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::access_log::Subject;
use crate::connection::{Connection, Requests, WINDOW_BYTES};
use crate::error::{Code, Error, Result};
use crate::json::write_string;
use crate::metrics::{Api, Entrypoint};
use crate::serving::Serving;
use path::{Target, Verb};

/// What all paths of the API begin with, in upper or lower case.
const API: &str = "/v1/";

/// Serve on `listener` until `stop` is cancelled and every request under way is answered.
pub async fn serve(listener: TcpListener, serving: Serving, stop: CancellationToken) {
    let connections = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(_) => {
                    // Out of file descriptors, mostly: wait for some to be closed instead of spinning.
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        // Only a hint to the kernel; a connection that refuses it will fail by itself.
        let _ = stream.set_nodelay(true);
        let serving = serving.clone();
        let service = service_fn(move |request| answer(serving.clone(), peer, request));
        let requests = Requests::default();
        let mut http = auto::Builder::new(requests.clone());
        http.http2().initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(4 * WINDOW_BYTES);
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service).into_owned());
        // An error ends this connection only: the client broke it off or spoke no HTTP.
        tokio::spawn(async move { drop(Connection::new(connection, requests).await) });
    }
    drop(listener);
    connections.shutdown().await;
}

async fn answer(
    mut serving: Serving,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let line = serving.access_log.as_ref().map(|log| {
        let path = Some(path_of(request.uri()).to_owned());
        log.begin(Subject { protocol: "http", method: request.method().to_string(), path, peer: Some(peer) })
    });
    serving.notes = line.as_ref().map(|line| line.notes()).unwrap_or_default();
    let (code, response) = respond(&serving, request).await;
    if let Some(line) = line {
        serving.notes.sent(response.body().size_hint().exact().unwrap_or_default() as usize);
        line.end(code.map_or("OK", Code::name), Some(response.status().as_u16()));
    }
    Ok(response)
}

/// Answer a request; the code is None if it succeeded.
async fn respond(serving: &Serving, request: Request<Incoming>) -> (Option<Code>, Response<Full<Bytes>>) {
    let accepts_gzip = content::accepts_gzip(request.headers());
    if serving.answering.metrics_path.as_deref() == Some(request.uri().path()) && request.method() == Method::GET {
        let page = serving.metrics.text();
        return (page.as_ref().err().map(|error| error.code), content::metrics(page));
    }
    let is_api = path_of(request.uri()).get(..API.len()).is_some_and(|start| start.eq_ignore_ascii_case(API));
    if is_api && request.method() == Method::OPTIONS {
        let response = content::preflight(request.headers(), serving.answering.cors);
        return ((!response.status().is_success()).then_some(Code::InvalidArgument), response);
    }
    let (code, status, body) = match handle(serving, request, is_api).await {
        Ok(body) => (None, StatusCode::OK, body),
        Err(error) => {
            let mut body = b"{ \"error\": ".to_vec();
            write_string(&mut body, error.message.as_bytes());
            body.extend_from_slice(b" }");
            let status = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (Some(error.code), status, body)
        }
    };
    let mut response = content::response(body, accepts_gzip);
    *response.status_mut() = status;
    if serving.answering.cors {
        content::allow_any_origin(response.headers_mut());
    }
    (code, response)
}

async fn handle(serving: &Serving, request: Request<Incoming>, is_api: bool) -> Result<Vec<u8>> {
    let path = path_of(request.uri());
    if !is_api {
        return Err(Error::new(Code::NotFound, format!("Not found: {path}")));
    }
    let malformed = || malformed(request.method(), request.uri());
    let target = Target::parse(path).and_then(|target| target.ok_or_else(malformed));
    let api = target.as_ref().map_or(Api::Other, |target| target.verb.api());
    let mut measured = serving.metrics.measure(Entrypoint::Rest, api);
    let reply = match target {
        Ok(target) => {
            measured.model.push_str(&target.model);
            serving.notes.model(&target.model);
            answer_target(serving, &target, request).await
        }
        Err(error) => Err(error),
    };
    measured.end(&reply);
    reply
}

async fn answer_target(serving: &Serving, target: &Target, request: Request<Incoming>) -> Result<Vec<u8>> {
    match (request.method().clone(), target.verb) {
        (Method::POST, Verb::Predict) => {
            predict::answer(serving, target, content::read(request, &serving.notes).await?).await
        }
        (Method::POST, Verb::Infer(method)) => {
            inference::answer(serving, target, method, content::read(request, &serving.notes).await?).await
        }
        (Method::GET, Verb::Status) => status::answer(serving, target),
        (Method::GET, Verb::Metadata) => metadata::answer(serving, target),
        (method, _) => Err(malformed(&method, request.uri())),
    }
}

fn malformed(method: &Method, uri: &Uri) -> Error {
    Error::invalid(format!("Malformed request: {method} {}", path_of(uri)))
}

/// The query is part of what must match: a path with one is malformed.
fn path_of(uri: &Uri) -> &str {
    uri.path_and_query().map_or(uri.path(), |path| path.as_str())
}
