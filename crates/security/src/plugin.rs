//! The capability: headers and limits of every app; with `use security` what servers share.

use std::sync::Arc;

use governor::clock::MonotonicClock;
use mainstay_engine::plugin::{Plugin, Setup};
use mainstay_http::{Network, SetupAdmit as _, SetupHeaders as _};
use mainstay_jobs::JobSetup as _;
use tokio::sync::watch;

use crate::acme::Acme;
use crate::audit;
use crate::headers::HeaderOptions;
use crate::limiter::Limiter;
use crate::rate::Rate;
use crate::share::Share;
use crate::tls::{ServerCertificate, Source, TlsOptions};

/// The tables of the capability.
pub const SECURITY_TABLES: &str = include_str!("security.stay");

/// How an app is protected.
#[derive(Clone, Debug, Default)]
pub struct SecurityOptions {
    /// What browsers are told.
    pub headers: HeaderOptions,
    /// How often clients may ask.
    pub rates: Vec<Rate>,
    /// Whose requests are not counted by their address.
    pub free: Vec<Network>,
    /// Where certificates come from; none: no TLS is spoken.
    pub tls: Option<TlsOptions>,
    /// Whether servers share what they know (`use security`).
    pub is_shared: bool,
}

/// The capability.
pub struct SecurityPlugin {
    options: SecurityOptions,
}

impl SecurityPlugin {
    /// An app that is protected so.
    pub fn new(options: SecurityOptions) -> SecurityPlugin {
        SecurityPlugin { options }
    }
}

/// Counts the reports of other servers that were taken in here: for whoever waits for one.
pub struct ReportsTaken(watch::Receiver<u64>);

impl ReportsTaken {
    /// The count, which grows.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.clone()
    }
}

impl SecurityPlugin {
    fn build_tls(&self, setup: &mut Setup<'_>) {
        let source = match self.options.tls.clone() {
            None => return,
            Some(TlsOptions::Files { cert, key }) => Source::Files { cert, key },
            Some(TlsOptions::Acme(_)) if !self.options.is_shared => {
                let words = "`http.acme.domains` needs a place for the account and the certificate: write `use security` in the app";
                return setup.problem(words);
            }
            Some(TlsOptions::Acme(options)) => {
                let acme = Arc::new(Acme::new(options));
                match acme.definitions() {
                    Ok([once, hourly]) => {
                        setup.job(once).job(hourly);
                    }
                    Err(words) => return setup.problem(words),
                }
                Source::Acme(acme)
            }
        };
        setup.keep(Arc::new(ServerCertificate::new(source)));
    }
}

impl Plugin for SecurityPlugin {
    fn name(&self) -> &str {
        "security"
    }

    fn schema(&self) -> &str {
        if self.options.is_shared { SECURITY_TABLES } else { "" }
    }

    fn build(&self, setup: &mut Setup<'_>) {
        match self.options.headers.lists() {
            Ok(lists) => {
                setup.answer_headers(lists);
            }
            Err(name) => setup.problem(format!("the settings give `{name}` a value that no header can have")),
        }
        self.build_tls(setup);
        if self.options.rates.is_empty() {
            return;
        }
        let limiter = Limiter::new(&self.options.rates, &self.options.free, MonotonicClock);
        let limiter = Arc::new(limiter);
        setup.admit(limiter.clone());
        let counted = limiter.clone();
        setup.on_open(move |engine| {
            tokio::spawn(audit::run(Arc::downgrade(&engine), counted.clone()));
            std::future::ready(Ok(()))
        });
        if self.options.is_shared {
            let (taken, reports) = watch::channel(0);
            setup.keep(ReportsTaken(reports));
            setup.on_open(move |engine| {
                // An embedded database has one server alone.
                if engine.store().dialect().kind() == "postgres" {
                    let share = Share::new(limiter.clone(), taken.clone());
                    tokio::spawn(share.run(Arc::downgrade(&engine)));
                }
                std::future::ready(Ok(()))
            });
        }
    }
}
