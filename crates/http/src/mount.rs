//! What plugins add to the wire: routes as axum routers, and layers of tower around everything.
//!
//! A handler gets who asks by the extractor [`RequestCtx`], which reads credentials as every endpoint does; what it asks of the
//! engine passes the same rules. Mainstay's own paths come first, static files last.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, Route};
use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::error::Error;
use mainstay_engine::part::Operation;
use mainstay_engine::plugin::Setup;
use mainstay_engine::trace::TraceContext;
use mainstay_engine::{Engine, document, render};
use tower::{Layer, Service, ServiceExt as _};

use crate::admit::Admission;
use crate::app::App;
use crate::body::{MeteredBody, PacedBody, json_alone};
use crate::observe::Observation;
use crate::openapi::{Described, RouteDocs};
use crate::router::NO_ROUTE;
use crate::{client, files, problem};

type Wrap = Arc<dyn Fn(axum::Router) -> axum::Router + Send + Sync>;

/// What plugins have mounted.
#[derive(Default)]
pub(crate) struct Mounts {
    routers: Vec<axum::Router>,
    layers: Vec<Wrap>,
}

impl Mounts {
    /// The plugins' routes with the static files behind them; none: there are no such routes.
    pub(crate) fn router(&self) -> Option<axum::Router> {
        let (first, others) = self.routers.split_first()?;
        let merged = others.iter().fold(first.clone(), |merged, router| merged.merge(router.clone()));
        // There is nothing to be named in a router without routes, and it refuses.
        let named = if merged.has_routes() { merged.route_layer(from_fn(name_route)) } else { merged };
        Some(named.fallback(serve_file))
    }

    /// A service with the layers around it, the first one outermost; none: there are no layers.
    pub(crate) fn wrapped<S>(&self, service: S) -> Option<axum::Router>
    where
        S: Service<Request, Response = Response, Error = Infallible, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        if self.layers.is_empty() {
            return None;
        }
        let router = axum::Router::new().fallback_service(service);
        Some(self.layers.iter().rev().fold(router, |router, wrap| wrap(router)))
    }
}

/// The words that this crate adds to a plugin's set-up.
pub trait SetupHttp {
    /// Adds routes. Two plugins may not take the same path.
    fn routes(&mut self, router: axum::Router) -> &mut Self;

    /// Adds routes with what is said of each: method, path, handler, description. `{name}` is a place in a path. Their bodies are held
    /// to the limits of every endpoint. Those that change something take JSON alone, unless their description says otherwise ([`RouteDocs::any_media`]).
    fn route_table<S: Clone + Send + Sync + 'static>(&mut self, table: RouteTable<S>, state: S) -> &mut Self;

    /// Says what a route is that was added by [`SetupHttp::routes`]: it stands in the app's OpenAPI document then.
    fn describe(&mut self, method: &str, path: &str, docs: RouteDocs) -> &mut Self;

    /// Puts a layer around every request, whichever path it takes.
    fn layer<L>(&mut self, layer: L) -> &mut Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request, Response: IntoResponse, Error: Into<Infallible>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static;
}

/// Routes of a plugin whose handlers share a state: method, path, handler, description.
pub type RouteTable<S> = Vec<(&'static str, &'static str, MethodRouter<S>, RouteDocs)>;

impl SetupHttp for Setup<'_> {
    fn routes(&mut self, router: axum::Router) -> &mut Self {
        self.part::<Mounts>().routers.push(router);
        self
    }

    fn route_table<S: Clone + Send + Sync + 'static>(&mut self, table: RouteTable<S>, state: S) -> &mut Self {
        let mut router = axum::Router::new();
        for (method, path, handler, docs) in table {
            let handler: MethodRouter<S> = handler.layer(from_fn(within_limits));
            let handler: MethodRouter<S> = handler.layer(DefaultBodyLimit::disable());
            let takes_json_alone = method != "GET" && !docs.takes_any_media();
            let handler = if takes_json_alone { handler.layer(from_fn(json_alone)) } else { handler };
            router = router.route(path, handler);
            self.describe(method, path, docs);
        }
        self.routes(router.with_state(state))
    }

    fn describe(&mut self, method: &str, path: &str, docs: RouteDocs) -> &mut Self {
        let plugin = self.plugin().to_owned();
        self.part::<Described>().add(&plugin, method, path, docs);
        self
    }

    fn layer<L>(&mut self, layer: L) -> &mut Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request, Response: IntoResponse, Error: Into<Infallible>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.part::<Mounts>().layers.push(Arc::new(move |router| router.layer(layer.clone())));
        self
    }
}

/// Where the path of a plugin's route is told, as its router has it.
pub(crate) type Matched = Arc<OnceLock<MatchedPath>>;

/// The request as it came in, for the extractor.
#[derive(Clone)]
struct Entered {
    app: Arc<App>,
    request_id: Arc<str>,
    trace: Option<Arc<TraceContext>>,
    matched: Matched,
    admission: Admission,
}

/// Names the route in the logs and metrics, which know only now which one it is, and counts the request by it.
async fn name_route(request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    if let (Some(entered), Some(path)) = (extensions.get::<Entered>(), extensions.get::<MatchedPath>()) {
        tracing::Span::current().record("route", path.as_str());
        // It was matched once.
        drop(entered.matched.set(path.clone()));
        let app = &entered.app;
        let client = || client::address(&app.options.trusted_proxies, extensions, request.headers());
        let admitted = app.admit_address(&entered.admission, (request.method(), path.as_str()), client);
        if let Err(error) = admitted {
            return Refusal(error).into_response();
        }
    }
    next.run(request).await
}

/// Around a handler that reads its body at once: a body beyond the limits is refused as it is by every endpoint, in whatever way the
/// handler reads it.
async fn within_limits(request: Request, next: Next) -> Response {
    let Some(Entered { app, .. }) = request.extensions().get::<Entered>().cloned() else {
        return outside().into_response();
    };
    let (parts, body) = request.into_parts();
    match MeteredBody::new(&parts.headers, body, &app.options.limits, &app.in_flight) {
        Err(error) => Refusal(error).into_response(),
        Ok((body, meter)) => {
            let response = next.run(Request::from_parts(parts, Body::new(body))).await;
            meter.take_refused().map_or(response, |error| Refusal(error).into_response())
        }
    }
}

/// Lets the plugins' routes answer.
pub(crate) async fn serve(
    app: &Arc<App>,
    router: &axum::Router,
    observation: &mut Observation,
    request: Request,
) -> Result<Response, Error> {
    let _place = app.in_flight.enter()?;
    let limits = &app.options.limits;
    let mut request = request.map(|body| Body::new(PacedBody::new(body, limits.body_timeout)));
    request.extensions_mut().insert(Entered {
        app: app.clone(),
        request_id: Arc::clone(&observation.request_id),
        trace: observation.trace.clone(),
        matched: Arc::clone(observation.matched.insert(Arc::default())),
        admission: observation.admission.clone(),
    });
    let mut response = match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    match response.extensions_mut().remove::<Refusal>() {
        Some(refusal) => Err(refusal.0),
        None => Ok(response),
    }
}

async fn serve_file(request: Request) -> Result<Response, Refusal> {
    let entered = request.extensions().get::<Entered>().cloned();
    let Entered { app, admission, .. } = entered.ok_or_else(outside)?;
    Ok(files::serve(&app, &admission, request).await?)
}

fn outside() -> Refusal {
    Refusal(Error::internal("a handler of a plugin was called outside of the server"))
}

/// Who asks, and the app: an extractor for handlers of plugins.
#[derive(Clone, Debug)]
pub struct RequestCtx {
    /// The request's context, as every endpoint has it.
    pub ctx: Ctx,
    /// The app.
    pub engine: Arc<Engine>,
    /// The address that it comes from; none: it came over a socket.
    pub client: Option<IpAddr>,
}

impl RequestCtx {
    /// Asks as the caller: a document of the query language in, its answer out.
    ///
    /// # Errors
    /// As any request.
    pub async fn query(&self, document: serde_json::Value) -> Result<serde_json::Value, Refusal> {
        ask(&self.engine, &self.ctx, &document).await
    }

    /// Asks past all rules: the handler answers for what it shows and does.
    ///
    /// # Errors
    /// As any request.
    pub async fn admin_query(&self, document: serde_json::Value) -> Result<serde_json::Value, Refusal> {
        let ctx = Ctx { caller: Arc::new(Caller::administrator()), ..self.ctx.clone() };
        ask(&self.engine, &ctx, &document).await
    }
}

async fn ask(engine: &Engine, ctx: &Ctx, document: &serde_json::Value) -> Result<serde_json::Value, Refusal> {
    let documents = document::parse(document.to_string().as_bytes())?;
    let operation = Operation { documents, ..Operation::default() };
    let response = engine.execute(ctx, &operation).await?;
    serde_json::from_str(&render(&response, document.is_array()))
        .map_err(|error| Error::internal(error).into())
}

impl<S: Send + Sync> FromRequestParts<S> for RequestCtx {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<RequestCtx, Refusal> {
        let Entered { app, request_id, trace, matched, admission } =
            parts.extensions.get::<Entered>().cloned().ok_or_else(outside)?;
        let client = client::address(&app.options.trusted_proxies, &parts.extensions, &parts.headers);
        let read = app.credentials.context(&app.engine, (&parts.method, &parts.headers), request_id);
        let (ctx, _) = read.await?;
        let route = matched.get().map_or(NO_ROUTE, MatchedPath::as_str);
        app.admit_user(&admission, (&parts.method, route), ctx.caller.user.as_ref())?;
        let ctx = Ctx { trace, ..ctx };
        Ok(RequestCtx { ctx, engine: app.engine.clone(), client })
    }
}

/// The same for a handler that has credentials of its own, as that of a webhook: those of the request are not looked at, and it is
/// nobody who asks.
#[derive(Clone, Debug)]
pub struct OpenCtx(pub RequestCtx);

impl<S: Send + Sync> FromRequestParts<S> for OpenCtx {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<OpenCtx, Refusal> {
        let Entered { app, request_id, trace, .. } =
            parts.extensions.get::<Entered>().cloned().ok_or_else(outside)?;
        let client = client::address(&app.options.trusted_proxies, &parts.extensions, &parts.headers);
        let ctx = Ctx { trace, ..app.credentials.anonymous(request_id) };
        Ok(OpenCtx(RequestCtx { ctx, engine: app.engine.clone(), client }))
    }
}

/// An error of the engine as the answer of a handler: problem+json, with the status of its kind.
#[derive(Clone, Debug)]
pub struct Refusal(pub Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // The way out knows the request's id and writes the document again.
        let mut response = problem::response(&Error { internal: None, ..self.0.clone() }, "", None);
        response.extensions_mut().insert(self);
        response
    }
}
