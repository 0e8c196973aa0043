//! One request, seen from outside: its id, span, log line and metrics.
//!
//! A request that its client gave up on is logged too, with status 499 as reverse proxies write it; so every request
//! that came in leaves exactly one line.

use std::sync::Arc;
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::MatchedPath;
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use mainstay_engine::ctx::Caller;

use crate::credentials::REQUEST_ID;
use crate::metrics::meters;
use crate::mount::Matched;

/// What the log says of a request whose client went away.
const CLIENT_GONE: u16 = 499;

/// A request from its arrival to its one log line.
pub(crate) struct Observation {
    pub(crate) request_id: Arc<str>,
    pub(crate) caller_kind: &'static str,
    method: Method,
    route: &'static str,
    /// The route where a plugin has one.
    pub(crate) matched: Option<Matched>,
    started: Instant,
    status: u16,
    bytes: u64,
}

impl Observation {
    pub(crate) fn start(request_id: Arc<str>, method: Method, route: &'static str) -> Observation {
        meters().in_flight.increment(1.0);
        let started = Instant::now();
        Observation {
            request_id,
            caller_kind: "none",
            method,
            route,
            matched: None,
            started,
            status: CLIENT_GONE,
            bytes: 0,
        }
    }

    pub(crate) fn caller(&mut self, caller: &Caller) {
        self.caller_kind = match (caller.admin, &caller.user) {
            (true, _) => "admin",
            (false, Some(_)) => "user",
            (false, None) => "anonymous",
        };
    }

    /// Names the request in its answer; the line is written when this is dropped.
    pub(crate) fn finish(mut self, mut response: Response) -> Response {
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        self.status = response.status().as_u16();
        self.bytes = response.body().size_hint().exact().unwrap_or(0);
        response
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        let method = method_label(&self.method);
        meters().in_flight.decrement(1.0);
        let matched = self.matched.as_ref().and_then(|matched| matched.get());
        let route = matched.map_or(self.route, MatchedPath::as_str);
        meters().request(method, route, self.status, elapsed);
        tracing::info!(
            target: "mainstay::http",
            method,
            route,
            status = self.status,
            duration_ms = elapsed.as_secs_f64() * 1e3,
            bytes = self.bytes,
            request_id = &*self.request_id,
            caller = self.caller_kind,
            "request"
        );
    }
}

/// A method as a metric's label: a client must not be able to invent labels.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
