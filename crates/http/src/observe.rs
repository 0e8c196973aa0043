//! One request, seen from outside: its id, trace, span, log line and metrics.
//!
//! A request that its client gave up on is logged too, with status 499 as reverse proxies write it; so every request
//! that came in leaves exactly one line. The line has a field `tree` without a value: whoever writes it may put what was done
//! beneath the request's span in its place.

use std::sync::Arc;
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;
use mainstay_engine::ctx::Caller;
use mainstay_engine::trace::TraceContext;
use tracing::field::Empty;
use tracing::{Level, Span};

use crate::admit::Admission;
use crate::credentials::{REQUEST_ID, request_id};
use crate::metrics::meters;
use crate::mount::Matched;

/// What the log says of a request whose client went away.
const CLIENT_GONE: u16 = 499;

/// Which trace the caller is in, and where (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Which trace the request was in, and where: the answer to `traceparent`, as a draft of the same has it and several libraries send it.
pub(crate) const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// A request from its arrival to its one log line.
pub(crate) struct Observation {
    pub(crate) request_id: Arc<str>,
    pub(crate) trace: Option<Arc<TraceContext>>,
    pub(crate) span: Span,
    /// Told where somebody looks at single requests.
    path: Option<Box<str>>,
    pub(crate) caller_kind: &'static str,
    method: Method,
    route: &'static str,
    /// The route where a plugin has one.
    pub(crate) matched: Option<Matched>,
    /// How its client stands with limits.
    pub(crate) admission: Admission,
    started: Instant,
    status: u16,
    bytes: u64,
}

impl Observation {
    pub(crate) fn start(request: &Request, route: &'static str, admission: Admission) -> Observation {
        meters().in_flight.increment(1.0);
        let started = Instant::now();
        let request_id = request_id(request.headers());
        let trace = trace_of(request.headers()).map(Arc::new);
        let is_recorded = trace.as_ref().is_some_and(|trace| trace.is_recorded());
        let is_told = is_recorded || tracing::enabled!(Level::DEBUG);
        let span = tracing::info_span!(
            "request",
            request_id = &*request_id,
            route,
            trace_id = trace.as_ref().map(|trace| display(trace.id())),
            span_id = trace.as_ref().and_then(|trace| trace.recorded_id()).map(display),
            parent_span_id = trace.as_ref().and_then(|trace| trace.parent_id()).map(display),
            tracestate = trace.as_ref().filter(|_| is_recorded).and_then(|trace| trace.state.as_deref()),
        );
        Observation {
            request_id,
            trace,
            span,
            path: is_told.then(|| request.uri().path().into()),
            caller_kind: "none",
            method: request.method().clone(),
            route,
            matched: None,
            admission,
            started,
            status: CLIENT_GONE,
            bytes: 0,
        }
    }

    /// The span, where somebody looks at single requests.
    pub(crate) fn looked_at(&self) -> Option<&Span> {
        self.path.is_some().then_some(&self.span)
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
        if let Some(trace) = &self.trace
            && let Ok(trace) = HeaderValue::try_from(trace.to_string())
        {
            response.headers_mut().insert(TRACERESPONSE, trace);
        }
        self.admission.tell(response.headers_mut());
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
        // Whoever writes the line finds what was done beneath it there; the line itself says all that the span would.
        let _entered = self.looked_at().map(Span::enter);
        tracing::info!(
            target: "mainstay::http",
            parent: None,
            method,
            route,
            path = self.path.as_deref(),
            status = self.status,
            duration_ms = elapsed.as_secs_f64() * 1e3,
            bytes = self.bytes,
            request_id = &*self.request_id,
            caller = self.caller_kind,
            trace_id = self.trace.as_ref().map(|trace| display(trace.id())),
            tree = Empty,
            "request"
        );
    }
}

/// Where the request stands in the caller's trace, or in one that begins with it; none: in no trace.
fn trace_of(headers: &HeaderMap) -> Option<TraceContext> {
    let mut given = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (given.next(), given.next()) else { return TraceContext::begin() };
    let mut states = headers.get_all(TRACESTATE).iter().filter_map(|state| state.to_str().ok());
    let state =
        states.next().map(|first| states.fold(first.to_owned(), |all, state| format!("{all},{state}")));
    let caller = parent.to_str().ok().and_then(|parent| TraceContext::parse(parent, state.as_deref()));
    caller.map(|caller| caller.child()).or_else(TraceContext::begin)
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
