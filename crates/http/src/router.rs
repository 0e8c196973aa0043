//! The table of routes and the way in: from an HTTP request to an endpoint and back.
//!
//! The table is the only list of what the server answers: the router, `Allow`, OpenAPI, the reference and the
//! authorisation test are made of it. Every answer, failures and panics included, leaves through [`handle`].
//!
//! Paths are looked up here with axum's own matcher instead of by an `axum::Router`: its handlers' futures are moved
//! several times and its routes cloned for each request, which costs as much as reading a row.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mainstay_engine::error::{Error, Key};
use tower::util::{Either, option_layer};
use tower::{BoxError, Layer, Service};
use tower_http::cors::{AllowOrigin, Any, Cors, CorsLayer};
use tracing::{Instrument, Span};

use crate::app::App;
use crate::call::Call;
use crate::captures::Captures;
use crate::mount::{self, Mounts};
use crate::observe::{self, Observation};
use crate::{
    admit, client, compress, credentials, docs, files, health, live, metrics, openapi, problem, query, rest,
};

/// The route's name of requests that no route takes, in logs and metrics.
pub(crate) const NO_ROUTE: &str = "(none)";

/// What a route is for; OpenAPI describes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The query language.
    Query,
    /// Rows of a table.
    List,
    /// One row.
    Read,
    /// New rows.
    Create,
    /// Changes of one row.
    Update,
    /// One row's end.
    Delete,
    /// One row's versions.
    History,
    /// A target added to a to-many relation.
    Link,
    /// A target taken from a to-many relation.
    Unlink,
    /// Requests and subscriptions over a socket.
    Socket,
    /// The process runs.
    Live,
    /// The server takes work.
    Ready,
    /// What was measured.
    Metrics,
    /// The description of the interface for machines.
    OpenApi,
    /// The same for people.
    Docs,
    /// What each error key means.
    DocsErrors,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; credentials are not looked at.
    Open,
    /// Every kind of caller (anonymous, user, administrator), each under the app's rules.
    Ruled,
}

type Handler = fn(Call) -> BoxFuture<'static, Result<Response, Error>>;

/// One row of the table of routes.
#[derive(Debug)]
pub struct Route {
    /// The method; `GET` answers `HEAD` too.
    pub method: Method,
    /// The path's template.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it is for.
    pub endpoint: Endpoint,
    handler: Handler,
}

macro_rules! routes {
    ($($method:ident $path:literal $access:ident $endpoint:ident $handler:path;)+) => {
        /// Everything that the server answers. Routes of one path stand together.
        pub static ROUTES: &[Route] = &[$(Route {
            method: Method::$method,
            path: $path,
            access: Access::$access,
            endpoint: Endpoint::$endpoint,
            handler: |call| $handler(call).boxed(),
        },)+];
    };
}

routes! {
    POST   "/query"                               Ruled Query      query::run;
    GET    "/api/{table}"                         Ruled List       rest::list::run;
    POST   "/api/{table}"                         Ruled Create     rest::create::run;
    GET    "/api/{table}/{id}"                    Ruled Read       rest::read::run;
    PATCH  "/api/{table}/{id}"                    Ruled Update     rest::update::run;
    DELETE "/api/{table}/{id}"                    Ruled Delete     rest::delete::run;
    GET    "/api/{table}/{id}/history"            Ruled History    rest::history::run;
    PUT    "/api/{table}/{id}/{relation}/{target}" Ruled Link      rest::link::link;
    DELETE "/api/{table}/{id}/{relation}/{target}" Ruled Unlink    rest::link::unlink;
    GET    "/live"                                Ruled Socket     live::socket::run;
    GET    "/health/live"                         Open  Live       health::live;
    GET    "/health/ready"                        Open  Ready      health::ready;
    GET    "/metrics"                             Open  Metrics    health::metrics;
    GET    "/openapi.json"                        Open  OpenApi    openapi::serve;
    GET    "/docs"                                Open  Docs       docs::serve_reference;
    GET    "/docs/errors"                         Open  DocsErrors docs::serve_errors;
}

/// The service of an app: every route, its static files behind them, and what stands around all of them.
pub(crate) type AppService = Either<axum::Router, Either<Cors<Entry>, Entry>>;

/// The service of an app, within the layers of its plugins.
pub(crate) fn service(app: &Arc<App>) -> AppService {
    let service = option_layer(cors(&app.options.origins)).layer(Entry::new(app));
    let mounts = app.engine.parts().get::<Mounts>();
    match mounts.and_then(|mounts| mounts.wrapped(service.clone())) {
        Some(wrapped) => Either::Left(wrapped),
        None => Either::Right(service),
    }
}

/// The way in, without what stands around it.
#[derive(Clone)]
pub(crate) struct Entry {
    app: Arc<App>,
    paths: Arc<matchit::Router<&'static [Route]>>,
}

impl Entry {
    pub(crate) fn new(app: &Arc<App>) -> Entry {
        let mut paths = matchit::Router::new();
        for routes in ROUTES.chunk_by(|a, b| a.path == b.path) {
            paths.insert(routes[0].path, routes).expect("no two routes of the table are in conflict");
        }
        Entry { app: Arc::clone(app), paths: Arc::new(paths) }
    }
}

impl<B> Service<Request<B>> for Entry
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        let (routes, captures) = match self.paths.at(path) {
            Ok(found) => (*found.value, Captures::of(path, found.params.iter().map(|(_, value)| value))),
            Err(_) => (&[] as &[Route], Some(Captures::default())),
        };
        let app = Arc::clone(&self.app);
        let encodings = request.headers().get_all(header::ACCEPT_ENCODING).iter().cloned().collect();
        Box::pin(async move {
            let response = handle(app, routes, captures, request.map(Body::new)).await;
            Ok(compress::apply(response, encodings).await)
        })
    }
}

/// One request, from its arrival to its answer.
async fn handle(
    app: Arc<App>,
    routes: &'static [Route],
    captures: Option<Captures>,
    request: Request,
) -> Response {
    let template = routes.first().map_or(NO_ROUTE, |route| route.path);
    let mut observation = Observation::start(&request, template, app.admission());
    let span = observation.span.clone();
    let answer = {
        // It stays where it is: large as it is, it would be moved into each wrapper.
        let answering = pin!(answer(&app, routes, captures, request, &mut observation));
        let answered = AssertUnwindSafe(answering).catch_unwind().instrument(span).await;
        answered.unwrap_or_else(|panic| Err(Error::internal(format!("panic: {}", panic_words(&*panic)))))
    };
    let mut response = answer.unwrap_or_else(|error| {
        if error.key == Key::Overloaded {
            ::metrics::counter!(metrics::SHED).increment(1);
        }
        let _entered = observation.looked_at().map(Span::enter);
        problem::response(&error, &observation.request_id, observation.trace.as_deref())
    });
    app.headers.complete(response.headers_mut());
    observation.finish(response)
}

async fn answer(
    app: &Arc<App>,
    routes: &'static [Route],
    captures: Option<Captures>,
    request: Request,
    observation: &mut Observation,
) -> Result<Response, Error> {
    check_header_size(app, request.uri(), request.headers())?;
    check_host(request.version(), request.headers())?;
    if routes.is_empty() {
        return match &app.mounted {
            Some(router) => Box::pin(mount::serve(app, router, observation, request)).await,
            None => Box::pin(files::serve(app, &observation.admission, request)).await,
        };
    }
    let (parts, body) = request.into_parts();
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method };
    let Some(route) = routes.iter().find(|route| route.method == method) else {
        return Ok(without_route(routes, &method, observation));
    };
    let Some(captures) = captures else {
        return Err(Error::new(Key::Request, "The path is not UTF-8."));
    };
    let named = (&method, route.path);
    if !matches!(route.endpoint, Endpoint::Live | Endpoint::Ready | Endpoint::Metrics) {
        let client = || client::address(&app.options.trusted_proxies, &parts.extensions, &parts.headers);
        app.admit_address(&observation.admission, named, client)?;
    }
    // Health and metrics must answer most of all when the server is full.
    let _place = match route.access {
        Access::Open => None,
        Access::Ruled => Some(app.in_flight.enter()?),
    };
    let request_id = Arc::clone(&observation.request_id);
    let (mut ctx, ends) = match route.access {
        Access::Open => (app.credentials.anonymous(request_id), None),
        Access::Ruled => {
            let span = tracing::debug_span!("credentials");
            let read = || app.credentials.context(&app.engine, (&method, &parts.headers), request_id);
            // Moving the future into a wrapper first costs more than reading who asks mostly does.
            let (ctx, ends) = match span.is_disabled() {
                true => read().await?,
                false => Box::pin(read().instrument(span)).await?,
            };
            observation.caller(&ctx.caller);
            app.admit_user(&observation.admission, named, ctx.caller.user.as_ref())?;
            (ctx, ends)
        }
    };
    ctx.trace.clone_from(&observation.trace);
    let call = Call {
        app: Arc::clone(app),
        ctx,
        method,
        uri: parts.uri,
        captures,
        headers: parts.headers,
        body,
        extensions: parts.extensions,
        ends,
    };
    (route.handler)(call).await
}

/// `OPTIONS`, or a method that the path does not know.
fn without_route(routes: &[Route], method: &Method, observation: &Observation) -> Response {
    let mut allow: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
    if allow.contains(&"GET") {
        allow.push("HEAD");
    }
    allow.push("OPTIONS");
    let allow = allow.join(", ");
    let mut response = if *method == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        let words = format!("`{method}` is not known here; {allow} are.");
        let error = Error::new(Key::MethodUnknown, words);
        problem::response(&error, &observation.request_id, observation.trace.as_deref())
    };
    let allow = HeaderValue::from_str(&allow).expect("names of methods are ASCII");
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

fn check_header_size(app: &App, uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
    let of_target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let of_headers: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let max = app.options.limits.header_bytes_max;
    if of_target + of_headers > max {
        let words =
            format!("A request's target and headers may have {max} bytes; send long queries to /query.");
        return Err(Error::new(Key::Request, words));
    }
    Ok(())
}

/// Of two hosts a proxy may have believed the other one, and where none is named it has made one up (RFC 9112, 3.2).
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), Error> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_11 => {
            Err(Error::new(Key::Request, "A request of HTTP/1.1 has a `Host` header."))
        }
        (_, Some(_)) => Err(Error::new(Key::Request, "There are several `Host` headers.")),
        _ => Ok(()),
    }
}

/// Closed unless origins are set. Credentials travel in `Authorization`, never in cookies here, so that no origin is
/// given the browser's own.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::from(Any)
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    let request_headers = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        HeaderName::from_static("idempotency-key"),
        HeaderName::from_static("accept-warnings"),
        credentials::REQUEST_ID,
        HeaderName::from_static("traceparent"),
        HeaderName::from_static("tracestate"),
    ];
    let response_headers = [
        header::ETAG,
        header::LOCATION,
        header::RETRY_AFTER,
        admit::LIMIT,
        admit::POLICY,
        credentials::REQUEST_ID,
        observe::TRACERESPONSE,
    ];
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(request_headers)
            .expose_headers(response_headers)
            .max_age(std::time::Duration::from_secs(600)),
    )
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}

#[cfg(test)]
mod tests {
    use super::ROUTES;

    #[test]
    fn routes_of_one_path_stand_together_and_once() {
        let paths: Vec<&str> =
            ROUTES.chunk_by(|a, b| a.path == b.path).map(|routes| routes[0].path).collect();
        let mut unique = paths.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(paths.len(), unique.len(), "{paths:?}");
    }
}
