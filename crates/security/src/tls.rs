//! The certificate that the server shows: one from files, or one that an authority has given by ACME.
//!
//! A connection is given what is held at its moment. Files are looked at every few seconds, and at once when the process is told to;
//! a pair that cannot be used is told in the log, and what is held stays. Connections that are there go on with what they have.

mod pair;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use mainstay_engine::Engine;
use mainstay_http::{Certificates, Hello};
use metrics::gauge;
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::rustls::ServerConfig;

pub use pair::PairError;
pub(crate) use pair::{Pair, challenge};

use crate::acme::Acme;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often the database is looked at for another certificate, while there is none and when there is one.
const ASK_SOON: Duration = Duration::from_millis(500);
const ASK: Duration = Duration::from_secs(60);

/// When the certificate that is shown ends.
const ENDS: &str = "mainstay_tls_certificate_ends_seconds";

type Choice<'a> = std::pin::Pin<Box<dyn Future<Output = Option<Arc<ServerConfig>>> + Send + 'a>>;

/// Where certificates come from.
#[derive(Clone, Debug)]
pub enum TlsOptions {
    /// Files in PEM: the certificate with those above it, and its key.
    Files {
        /// The certificate.
        cert: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// An authority.
    Acme(crate::AcmeOptions),
}

pub(crate) enum Source {
    Files { cert: PathBuf, key: PathBuf },
    Acme(Arc<Acme>),
}

/// The server's certificate.
pub struct ServerCertificate {
    source: Source,
    held: RwLock<Option<(Pair, Arc<ServerConfig>)>>,
    engine: RwLock<Weak<Engine>>,
    reload: Notify,
}

impl std::fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerCertificate")
    }
}

impl ServerCertificate {
    pub(crate) fn new(source: Source) -> ServerCertificate {
        let (held, engine) = (RwLock::new(None), RwLock::new(Weak::new()));
        ServerCertificate { source, held, engine, reload: Notify::new() }
    }

    /// The one of an app; none: it speaks no TLS.
    pub fn of(engine: &Engine) -> Option<Arc<ServerCertificate>> {
        engine.parts().get::<Arc<ServerCertificate>>().cloned()
    }

    /// When the certificate of two files ends, in seconds since 1970.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn ends_of_files(cert: &Path, key: &Path) -> Result<u64, PairError> {
        let pair = Pair::read(cert, key)?;
        pair.config()?;
        Ok(pair.ends_s)
    }

    /// Reads what is there, and begins to follow what changes it, for a server that is about to listen.
    ///
    /// # Errors
    /// When there are files that cannot be used.
    pub async fn begin(self: &Arc<Self>, engine: &Arc<Engine>) -> Result<(), PairError> {
        *self.engine.write() = Arc::downgrade(engine);
        match &self.source {
            Source::Files { cert, key } => self.hold(Pair::read(cert, key)?)?,
            Source::Acme(acme) => {
                self.take_given(acme, engine).await;
                acme.ask_for(engine, self.ends()).await;
            }
        }
        let (this, engine) = (Arc::downgrade(self), Arc::downgrade(engine));
        tokio::spawn(async move { follow(&this, &engine).await });
        Ok(())
    }

    /// Looks at once whether there is another one.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// When the certificate that is shown ends, in seconds since 1970; none: there is none yet.
    pub fn ends(&self) -> Option<u64> {
        self.held.read().as_ref().map(|(pair, _)| pair.ends_s)
    }

    fn hold(&self, pair: Pair) -> Result<(), PairError> {
        if self.held.read().as_ref().is_some_and(|(held, _)| *held == pair) {
            return Ok(());
        }
        let config = Arc::new(pair.config()?);
        gauge!(ENDS).set(pair.ends_s as f64);
        tracing::info!(names = pair.names.join(", "), ends_s = pair.ends_s, "a certificate is in use");
        *self.held.write() = Some((pair, config));
        Ok(())
    }

    async fn take_given(&self, acme: &Acme, engine: &Engine) {
        let taken = match acme.given(engine).await {
            Ok(Some(pair)) => self.hold(pair).map_err(|error| error.to_string()),
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = taken {
            tracing::warn!(error, "the certificate in the database cannot be used");
        }
    }

    async fn look(&self, engine: &Engine) {
        match &self.source {
            Source::Files { cert, key } => {
                if let Err(error) = Pair::read(cert, key).and_then(|pair| self.hold(pair)) {
                    tracing::error!(%error, "the certificate cannot be used, and the one before it stays");
                }
            }
            Source::Acme(acme) => self.take_given(acme, engine).await,
        }
    }
}

async fn follow(this: &Weak<ServerCertificate>, engine: &Weak<Engine>) {
    let pause = |of: &ServerCertificate| match (&of.source, of.ends()) {
        (Source::Files { .. }, _) => LOOK,
        (Source::Acme(_), None) => ASK_SOON,
        (Source::Acme(_), Some(_)) => ASK,
    };
    loop {
        let Some(of) = this.upgrade() else { return };
        // Whichever comes first: that it was told to look, or that it is time to.
        timeout(pause(&of), of.reload.notified()).await.ok();
        let Some(engine) = engine.upgrade() else { return };
        of.look(&engine).await;
    }
}

impl Certificates for ServerCertificate {
    fn choose(&self, hello: Hello) -> Choice<'_> {
        if !hello.is_challenge {
            let config = self.held.read().as_ref().map(|(_, config)| config.clone());
            return Box::pin(std::future::ready(config));
        }
        let engine = self.engine.read().upgrade();
        Box::pin(async move {
            let (Source::Acme(acme), Some(engine), Some(name)) = (&self.source, engine, hello.name) else {
                return None;
            };
            acme.challenge_of(&engine, &name).await
        })
    }
}
