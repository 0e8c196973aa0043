//! Connections: accepting them, speaking HTTP on them, ending them.
//!
//! HTTP/1.1, over TLS also HTTP/2. A connection that agrees on TLS or sends its headers too slowly, takes nothing of what is sent to it, or
//! stands idle too long, is closed; when all places are taken, further connections wait in the system's backlog, and those of a client that has as many as it
//! may are closed. A stop closes the listener first, lets running requests finish, and ends after a time limit whatever still runs.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::app::App;
use crate::client::Peer;
use crate::limits::ByClient;
use crate::metrics::{self, CONNECTIONS, REFUSED};
use crate::options::Options;
use crate::patience::{Patient, bound_unsent};
use crate::redirect;
use crate::router::{self, AppService};
use crate::tls::Agreed;
use mainstay_engine::Engine;

/// Requests of one connection of HTTP/2 that are under way at a time.
const STREAMS_MAX: u32 = 128;

/// How long to wait when the system has no file handle left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long sockets may take to close when the server stops.
const LISTENERS_LEAVE: Duration = Duration::from_secs(5);

/// Histograms hold their samples in memory until they are looked at.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// A server that listens and does not accept yet.
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    /// For those who come without TLS.
    redirect: Option<TcpListener>,
    app: Arc<App>,
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}: {source}")]
pub struct BindError {
    /// The address asked for.
    pub listen: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// The routes alone, with everything that stands around them but the connection: for a server of one's own, or to be
/// called directly.
pub fn service(options: Options, engine: Arc<Engine>) -> axum::Router {
    axum::Router::new().fallback_service(router::service(&Arc::new(App::new(engine, options))))
}

impl Server {
    /// Takes the address and prepares what is computed once.
    pub async fn bind(options: Options, engine: Arc<Engine>) -> Result<Server, BindError> {
        let listen = options.listen;
        let (listener, local_addr) = bind(listen).await?;
        let redirect = match &options.redirect {
            Some(redirect) => Some(bind(redirect.listen).await?.0),
            None => None,
        };
        metrics::upkeep();
        Ok(Server { listener, local_addr, redirect, app: Arc::new(App::new(engine, options)) })
    }

    /// Where it listens, with the port that was found free.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where those who come without TLS are led to it.
    pub fn redirect_addr(&self) -> Option<SocketAddr> {
        self.redirect.as_ref()?.local_addr().ok()
    }

    /// Serves until `stop` completes and running requests have ended.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) {
        let Server { listener, redirect, app, .. } = self;
        let connections = Connections::new(Arc::clone(&app));
        let mut stop = std::pin::pin!(stop);
        let mut upkeep = tokio::time::interval(METRICS_UPKEEP);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = upkeep.tick() => metrics::upkeep(),
                () = connections.accept(&listener) => {}
                () = connections.redirect(redirect.as_ref()) => {}
            }
        }
        app.stop();
        drop((listener, redirect));
        connections.finish().await;
        listeners_left(&app).await;
        app.live.stop().await;
    }
}

/// Waits until everybody who stays was told that the server stops.
async fn listeners_left(app: &App) {
    let places = app.options.limits.connections_max.clamp(1, Semaphore::MAX_PERMITS);
    let all = u32::try_from(places).unwrap_or(u32::MAX);
    let left = app.listeners.acquire_many(all);
    if tokio::time::timeout(LISTENERS_LEAVE, left).await.is_err() {
        tracing::warn!("sockets were still open when the time to stop was over");
    }
}

async fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let failed = |source| BindError { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let local_addr = listener.local_addr().map_err(failed)?;
    Ok((listener, local_addr))
}

#[derive(Clone)]
struct Speaks {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    service: TowerToHyperService<AppService>,
}

struct Connections {
    app: Arc<App>,
    speaks: Speaks,
    places: Arc<Semaphore>,
    by_client: ByClient,
    /// Told to every connection; none holds on to it when it has ended.
    stop: watch::Sender<bool>,
}

impl Connections {
    fn new(app: Arc<App>) -> Connections {
        let limits = &app.options.limits;
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            // Beyond its buffer hyper answers 431 by itself, without our words: ours come first.
            .max_buf_size((limits.header_bytes_max * 2).max(64 << 10));
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        let header_bytes = u32::try_from(limits.header_bytes_max * 2).unwrap_or(u32::MAX);
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(header_bytes)
            // Whoever is gone without a word is found out.
            .keep_alive_interval(limits.header_timeout)
            .keep_alive_timeout(limits.header_timeout);
        let free = app.options.free.iter().chain(&app.options.trusted_proxies).copied();
        Connections {
            speaks: Speaks { http1, http2, service: TowerToHyperService::new(router::service(&app)) },
            places: Arc::new(Semaphore::new(limits.connections_max.clamp(1, Semaphore::MAX_PERMITS))),
            by_client: ByClient::new(limits.connections_per_client_max, free),
            stop: watch::Sender::new(false),
            app,
        }
    }

    /// Takes one connection when there is a place, and serves it in a task of its own. May be dropped at any time.
    async fn accept(&self, listener: &TcpListener) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        let Some((stream, peer)) = accept(listener).await else { return };
        let Ok(of_client) = self.by_client.enter(peer.ip()) else {
            return ::metrics::counter!(REFUSED, "why" => "too_many").increment(1);
        };
        // Answers are written whole: waiting for more to send with them would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        if let Err(error) = bound_unsent(&stream) {
            tracing::debug!(%error, "no TCP_NOTSENT_LOWAT");
        }
        let stream = Patient::new(stream, self.app.options.limits.send_timeout);
        let speaks = self.speaks.clone();
        let stop = self.stop.subscribe();
        let tls = self.app.options.tls.clone();
        let patience = self.app.options.limits.header_timeout;
        tokio::spawn(async move {
            ::metrics::gauge!(CONNECTIONS).increment(1.0);
            // Each connection would be as large as the largest of these.
            let ended = match tls {
                None => speaks.http1(TokioIo::new(stream), peer, stop).await,
                Some(tls) => match Box::pin(tokio::time::timeout(patience, tls.accept(stream))).await {
                    Ok(Ok(Some(Agreed { stream, is_http2: true }))) => {
                        Box::pin(speaks.http2(TokioIo::new(stream), peer, stop)).await
                    }
                    Ok(Ok(Some(Agreed { stream, is_http2: false }))) => {
                        Box::pin(speaks.http1(TokioIo::new(stream), peer, stop)).await
                    }
                    Ok(Ok(None)) => Ok(()),
                    not_agreed => {
                        ::metrics::counter!(REFUSED, "why" => "tls").increment(1);
                        if let Ok(Err(error)) = not_agreed {
                            tracing::debug!(%error, "TLS was not agreed on");
                        }
                        Ok(())
                    }
                },
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "connection ended");
            }
            ::metrics::gauge!(CONNECTIONS).decrement(1.0);
            drop((of_client, place));
        });
    }

    /// The same for one who comes without TLS; without such a listener it never completes.
    async fn redirect(&self, listener: Option<&TcpListener>) {
        let Some(listener) = listener else { return std::future::pending().await };
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        let Some((stream, peer)) = accept(listener).await else { return };
        let Ok(of_client) = self.by_client.enter(peer.ip()) else { return };
        let to = &self.app.options.redirect;
        let origin: Option<Arc<str>> = to.as_ref().and_then(|to| to.origin.as_deref().map(Arc::from));
        let service = service_fn(move |request| std::future::ready(redirect::answer(&origin, &request)));
        let connection = self.speaks.http1.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop((of_client, place));
        });
    }

    async fn finish(self) {
        let stop_timeout = self.app.options.limits.stop_timeout;
        self.stop.send_replace(true);
        if tokio::time::timeout(stop_timeout, self.stop.closed()).await.is_err() {
            tracing::warn!(
                seconds = stop_timeout.as_secs(),
                "requests still ran when the time to stop was over"
            );
        }
    }
}

/// The next connection; `None`: there is none for now.
async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        // Of a connection that ended before it was accepted nothing more is heard.
        Err(error) if is_of_connection(&error) => None,
        Err(error) => {
            tracing::error!(%error, "cannot accept connections");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Serves a connection until it ends, or has answered what runs once it is told to stop.
async fn serve<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    mut stop: watch::Receiver<bool>,
    end: impl FnOnce(Pin<&mut C>),
) -> hyper::Result<()> {
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        // The sender outlives every connection; an end of it is a stop as well.
        _ = stop.wait_for(|stop| *stop) => end(connection.as_mut()),
    }
    connection.await
}

impl Speaks {
    async fn http1<I>(self, io: I, peer: SocketAddr, stop: watch::Receiver<bool>) -> hyper::Result<()>
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let service = self.service;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            service.call(request)
        });
        let connection = self.http1.serve_connection(io, service).with_upgrades();
        serve(connection, stop, |connection| connection.graceful_shutdown()).await
    }

    async fn http2<I>(self, io: I, peer: SocketAddr, stop: watch::Receiver<bool>) -> hyper::Result<()>
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let service = self.service;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            name_host(&mut request);
            service.call(request)
        });
        let connection = self.http2.serve_connection(io, service);
        serve(connection, stop, |connection| connection.graceful_shutdown()).await
    }
}

/// Whoever looks for the host finds it where HTTP/1.1 has it.
fn name_host(request: &mut Request<Incoming>) {
    if let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
}

fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
