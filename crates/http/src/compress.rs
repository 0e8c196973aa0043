//! Compressing answers that are worth it.
//!
//! The work is tower-http's layer. It stands around an answer that is there already instead of around all routes,
//! because its body type holds the state of an encoder, and moving that through every small answer costs more than
//! everything else around a route.

use std::convert::Infallible;
use std::future::ready;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;
use tower::{ServiceExt, service_fn};
use tower_http::compression::Compression;

/// Compressing less costs more than it saves: the answer fits one packet anyway.
const COMPRESS_BYTES_MIN: u64 = 1024;

/// The answer, compressed where the client takes that and the answer gains by it.
pub(crate) async fn apply(response: Response, encodings: Vec<HeaderValue>) -> Response {
    if response.body().size_hint().upper().is_some_and(|bytes| bytes < COMPRESS_BYTES_MIN) {
        return response;
    }
    // Seldom beside the answers of a few hundred bytes, whose futures would be as large.
    Box::pin(compressed(response, encodings)).await
}

async fn compressed(response: Response, encodings: Vec<HeaderValue>) -> Response {
    let mut request = Request::new(());
    for encoding in encodings {
        request.headers_mut().append(header::ACCEPT_ENCODING, encoding);
    }
    let mut response = Some(response);
    let answer = service_fn(move |_| ready(Ok::<_, Infallible>(response.take().unwrap_or_default())));
    let Ok(compressed) = Compression::new(answer).oneshot(request).await;
    compressed.map(Body::new)
}
