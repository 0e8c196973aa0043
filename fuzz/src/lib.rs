//! A small app on a real database for the targets that go all the way, and what must hold of every answer.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::error::{Error, Kind};
use mainstay_engine::limits::Limits;
use mainstay_engine::part::Operation;
use mainstay_engine::{Engine, prelude};
use mainstay_http::{Options, TokenSecret};
use mainstay_lang::analyse::analyse;
use mainstay_lang::source::Sources;
use mainstay_lang::value::Timestamp;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use mainstay_store::{DatabaseUrl, Store, StoreOptions};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;

/// Every type, every kind of relation, rules of every kind.
const APP: &str = include_str!("world.stay");

/// Bytes that may be under way in a pipe.
const PIPE_BYTES: usize = 64 << 10;

/// The app, open, with a runtime to wait on.
pub struct World {
    /// Its engine.
    pub engine: Arc<Engine>,
    routes: axum::Router,
    runtime: tokio::runtime::Runtime,
    // The folder goes when the process ends.
    _folder: tempfile::TempDir,
}

impl World {
    /// Opens the app on an empty database.
    pub fn open() -> World {
        let mut sources = prelude::load(Sources::default());
        sources.add("world.stay", APP);
        let analysis = analyse(&sources);
        let schema = analysis.schema.unwrap_or_else(|| panic!("{:?}", analysis.diagnostics));
        let folder = tempfile::tempdir().expect("a folder for the database");
        let url = DatabaseUrl::Sqlite(folder.path().join("world.db"));
        let store = Store::open(&StoreOptions::new(url)).expect("a database");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let limits = Limits { rows: 200, ..Limits::default() };
        let options = mainstay_engine::Options { may_change: mainstay_engine::MayChange::IN_DEVELOPMENT, limits };
        let engine = runtime.block_on(Engine::open(Arc::new(schema), store, options)).expect("a fitting database");
        let engine = Arc::new(engine);
        let secret = TokenSecret::new([7; 32]).expect("long enough");
        let open = Options { development: true, ..Options::new(secret) };
        // Subscriptions are followed by a task of the runtime.
        let inside = runtime.enter();
        let routes = mainstay_http::service(open, Arc::clone(&engine));
        drop(inside);
        World { engine, routes, runtime, _folder: folder }
    }

    /// The app's routes.
    pub fn routes(&self) -> axum::Router {
        self.routes.clone()
    }

    /// A socket at `/live`, over a pipe in memory. To be called inside of the app's runtime.
    pub async fn socket(&self) -> WebSocketStream<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let service = TowerToHyperService::new(self.routes());
        let connection = http1::Builder::new().serve_connection(TokioIo::new(theirs), service);
        // It ends with the socket, in whatever way that does.
        tokio::spawn(async move { connection.with_upgrades().await.ok() });
        let opened = tokio_tungstenite::client_async("ws://localhost/live", ours).await;
        opened.expect("the socket opens").0
    }

    /// Waits for a future on the app's runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Runs an operation as an administrator and as nobody. Whatever it is, the server is never at fault.
    pub fn run(&self, operation: &Operation) {
        for caller in [Caller::administrator(), Caller::anonymous()] {
            let ctx = Ctx {
                caller: Arc::new(caller),
                tenant: None,
                session: None,
                now: Timestamp(1_800_000_000_000_000),
                deadline: Instant::now() + Duration::from_secs(5),
                request_id: "fuzz".into(),
                trace: None,
            };
            if let Err(error) = self.runtime.block_on(self.engine.execute(&ctx, operation)) {
                assert_blameless(&error);
            }
        }
    }
}

/// An error that a caller may cause.
fn assert_blameless(error: &Error) {
    assert!(error.key.kind() != Kind::Internal, "a request must not make the server fail: {error}");
}
