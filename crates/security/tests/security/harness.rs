//! An app that is protected, served over TCP: one server, or several on one database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mainstay_engine::plugin::Plugins;
use mainstay_engine::{Engine, MayChange, Options, limits::Limits};
use mainstay_http::{Server, Subject, Tls, TokenSecret, issue_token};
use mainstay_jobs::JobsPlugin;
use mainstay_lang::analyse::analyse;
use mainstay_security::{SecurityOptions, SecurityPlugin, ServerCertificate};
use mainstay_store::{DatabaseUrl, Store};
use mainstay_testkit::database::Place;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const APP: &str = "table Note { text text(100), allow read, allow create }";

/// One server.
pub(crate) struct Node {
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    pub(crate) redirect: Option<SocketAddr>,
    pub(crate) engine: Arc<Engine>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

pub(crate) async fn node(place: &Place, options: SecurityOptions) -> Node {
    node_with(place, options, |_| {}).await
}

pub(crate) async fn node_with(
    place: &Place,
    options: SecurityOptions,
    change: impl FnOnce(&mut mainstay_http::Options),
) -> Node {
    let mut plugins = Plugins::default();
    plugins.add(JobsPlugin::default()).add(SecurityPlugin::new(options));
    let mut sources = plugins.sources();
    sources.add("app.stay", APP);
    let analysis = analyse(&sources);
    let schema = analysis.schema.unwrap_or_else(|| panic!("{:#?}", analysis.diagnostics));
    let mut stored = place.options.clone();
    // A server, which hears of what others write; of those SQLite has one alone.
    stored.exclusive = matches!(stored.url, DatabaseUrl::Postgres(_));
    let opened = Options { may_change: MayChange::IN_DEVELOPMENT, limits: Limits::default() };
    let store = Store::open(&stored).unwrap();
    let engine = Arc::new(Engine::open_with(Arc::new(schema), store, opened, &plugins).await.unwrap());
    engine.start().await.unwrap();
    let mut options = mainstay_http::Options::new(secret());
    options.listen.set_port(0);
    change(&mut options);
    if let Some(certificate) = ServerCertificate::of(&engine) {
        certificate.begin(&engine).await.unwrap();
        options.tls = Some(Tls(certificate));
    }
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let server = Server::bind(options, engine.clone()).await.unwrap();
    let (address, redirect) = (server.local_addr(), server.redirect_addr());
    let url = format!("{scheme}://{address}");
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(server.serve(async move { drop(stopped.await) }));
    Node { url, address, redirect, engine, stop: Some(stop), served }
}

fn secret() -> TokenSecret {
    TokenSecret::new([7; TokenSecret::BYTES_MIN]).unwrap()
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap()
}

impl Node {
    /// A request as it comes from an address, by way of a proxy that is trusted.
    pub(crate) async fn from(&self, address: &str, path: &str) -> reqwest::Response {
        let request = client().get(format!("{}{path}", self.url)).header("x-forwarded-for", address);
        request.send().await.unwrap()
    }

    /// An administrator's token.
    pub(crate) fn admin(&self) -> String {
        self.token(&Subject::Admin)
    }

    pub(crate) fn token(&self, subject: &Subject) -> String {
        issue_token(&secret(), &self.engine.schema().app, subject, Duration::from_secs(600))
    }

    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.served.await.unwrap();
    }
}

pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
}
