//! One request behind the way in: what every endpoint is given, and the parts of answers that endpoints share.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::Response;
use mainstay_engine::ctx::Ctx;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::{Document, Idempotency, Operation};
use sha2::{Digest, Sha256};
use tracing::Instrument as _;

use crate::app::{App, Cached};
use crate::body;
use crate::captures::Captures;
use crate::credentials::Ends;
use crate::parameters::Parameters;

/// A longer key would only make a longer index.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// One request behind the way in.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) ctx: Ctx,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    /// Where the template's `{…}` pieces stand in the path.
    pub(crate) captures: Captures,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// What the connection knows of the request: the way to another protocol.
    pub(crate) extensions: Extensions,
    /// When its credentials end.
    pub(crate) ends: Option<Ends>,
}

impl Call {
    /// The query string, in which these names alone are known.
    pub(crate) fn parameters(&self, known: &[&str]) -> Result<Parameters, Error> {
        Parameters::parse(self.uri.query(), known)
    }

    /// The value of one of the template's `{…}` pieces, decoded.
    pub(crate) fn capture(&self, index: usize) -> Cow<'_, str> {
        self.captures.get(self.uri.path(), index)
    }

    /// Reads the body, within limits. It can be read once.
    pub(crate) async fn read_body(&mut self) -> Result<body::Read, Error> {
        let body = std::mem::take(&mut self.body);
        let read = body::read_json(&self.headers, body, &self.app.options.limits, &self.app.in_flight);
        read.instrument(tracing::debug_span!("body")).await
    }

    /// The operation that these documents make under the request's headers.
    pub(crate) fn operation(&self, documents: Vec<Document>, body: &[u8]) -> Result<Operation, Error> {
        Ok(Operation {
            documents,
            idempotency: self.idempotency(body)?,
            accepted_warnings: self.accepted_warnings()?,
            explain: false,
        })
    }

    /// `?explain` shows SQL, which tells more than answers do: in production it is the administrator's.
    pub(crate) fn explain(&self, parameters: &Parameters) -> Result<bool, Error> {
        let asked = parameters.flag("explain")?;
        if asked && !self.app.options.development && !self.ctx.caller.admin {
            let words = "`explain` is for development and administrators.";
            return Err(Error::new(Key::Forbidden, words));
        }
        Ok(asked)
    }

    fn idempotency(&self, body: &[u8]) -> Result<Option<Idempotency>, Error> {
        let Some(value) = self.headers.get("idempotency-key") else { return Ok(None) };
        let key = value.to_str().unwrap_or_default();
        if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
            let words = "`Idempotency-Key` is 1 to 255 visible ASCII characters.";
            return Err(Error::new(Key::Request, words));
        }
        // The query string shapes the answer (`get`), so it is bound as the body is.
        let mut hash = Sha256::new();
        hash.update(self.uri.query().unwrap_or_default());
        hash.update([0]);
        hash.update(body);
        Ok(Some(Idempotency {
            key: key.to_owned(),
            target: format!("{} {}", self.method, self.uri.path()),
            body_hash: hash.finalize().into(),
        }))
    }

    fn accepted_warnings(&self) -> Result<Vec<String>, Error> {
        let mut ids = Vec::new();
        for value in self.headers.get_all("accept-warnings") {
            let text =
                value.to_str().map_err(|_| Error::new(Key::Request, "`Accept-Warnings` is not ASCII."))?;
            ids.extend(text.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned));
        }
        Ok(ids)
    }

    /// A document made once, or 304 when the client has it.
    pub(crate) fn cached(&self, document: &Cached, media_type: &'static str) -> Response {
        let etag = HeaderValue::from_str(&document.etag).expect("the tag is hexadecimal digits in quotes");
        let mut response = if self.has_current(&document.etag) {
            not_modified()
        } else {
            Response::new(Body::from(document.bytes.clone()))
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::ETAG, etag);
        response
    }

    /// Whether `If-None-Match` names the tag (RFC 9110 §13.1.2: by weak comparison).
    pub(crate) fn has_current(&self, etag: &str) -> bool {
        let bare = etag.trim_start_matches("W/");
        self.headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(
            |text| {
                text.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == bare)
            },
        )
    }
}

/// Headers of an answer as a rule; more make the map grow, and grow again.
const HEADERS_USUAL: usize = 12;

/// 200 with a JSON text.
pub(crate) fn json(text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    response.headers_mut().reserve(HEADERS_USUAL);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// 304 without a body.
pub(crate) fn not_modified() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = axum::http::StatusCode::NOT_MODIFIED;
    response
}
