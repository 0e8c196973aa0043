//! Connections: accepting them, speaking HTTP/1.1 on them, ending them.
//!
//! TLS and HTTP/2 are the reverse proxy's. A connection that sends its headers too slowly, or stands idle too long,
//! is closed; when all places are taken, further connections wait in the system's backlog. A stop closes the
//! listener first, lets running requests finish, and ends after a time limit whatever still runs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::app::App;
use crate::client::Peer;
use crate::metrics::{self, CONNECTIONS};
use crate::options::Options;
use crate::router::{self, AppService};
use mainstay_engine::Engine;

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
        let failed = |source| BindError { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        metrics::upkeep();
        Ok(Server { listener, local_addr, app: Arc::new(App::new(engine, options)) })
    }

    /// Where it listens, with the port that was found free.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `stop` completes and running requests have ended.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) {
        let Server { listener, app, .. } = self;
        let connections = Connections::new(Arc::clone(&app));
        let mut stop = std::pin::pin!(stop);
        let mut upkeep = tokio::time::interval(METRICS_UPKEEP);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = upkeep.tick() => metrics::upkeep(),
                () = connections.accept(&listener) => {}
            }
        }
        app.stop();
        drop(listener);
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

struct Connections {
    app: Arc<App>,
    http: http1::Builder,
    service: TowerToHyperService<AppService>,
    places: Arc<Semaphore>,
    /// Told to every connection; none holds on to it when it has ended.
    stop: watch::Sender<bool>,
}

impl Connections {
    fn new(app: Arc<App>) -> Connections {
        let limits = &app.options.limits;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            // Beyond its buffer hyper answers 431 by itself, without our words: ours come first.
            .max_buf_size((limits.header_bytes_max * 2).max(64 << 10));
        Connections {
            service: TowerToHyperService::new(router::service(&app)),
            places: Arc::new(Semaphore::new(limits.connections_max.clamp(1, Semaphore::MAX_PERMITS))),
            stop: watch::Sender::new(false),
            http,
            app,
        }
    }

    /// Takes one connection when there is a place, and serves it in a task of its own. May be dropped at any time.
    async fn accept(&self, listener: &TcpListener) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Of a connection that ended before it was accepted nothing more is heard.
            Err(error) if is_of_connection(&error) => return,
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                return;
            }
        };
        let connection = self.connection(stream, peer);
        tokio::spawn(async move {
            ::metrics::gauge!(CONNECTIONS).increment(1.0);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            ::metrics::gauge!(CONNECTIONS).decrement(1.0);
            drop(place);
        });
    }

    fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = hyper::Result<()>> + use<> {
        // Answers are written whole: waiting for more to send with them would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let service = self.service.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            service.call(request)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut stop = self.stop.subscribe();
        async move {
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                ended = connection.as_mut() => return ended,
                // The sender outlives every connection; an end of it is a stop as well.
                _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
            }
            connection.await
        }
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

fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
