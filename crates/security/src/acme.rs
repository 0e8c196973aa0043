//! Certificates from an authority by ACME (RFC 8555), with TLS-ALPN-01 as proof that a name is ours: the port of TLS is the only one
//! that is needed.
//!
//! A job does it, so it is done once for all servers, and again after growing pauses when it fails. Account, certificate and the proofs
//! under way stand in the database, keys sealed: whichever server the authority comes to answers, and each shows the new certificate
//! within a minute. It is made anew when a third of its life is left.

mod client;
mod kept;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use mainstay_engine::Engine;
use mainstay_engine::error::Error;
use mainstay_engine::sealed::Sealer;
use mainstay_jobs::{Backoff, Definition, JobError, Jobs, NewJob, Running, Schedule, Scheduled, Unique};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde_json::json;
use tokio_rustls::rustls::ServerConfig;

use crate::audit;
use crate::tls::{Pair, challenge};
use client::Client;
use kept::Kept;

/// The job's name.
const JOB: &str = "security.certificate";
/// By the clock it is looked whether it is time; authorities ask not to come on the hour.
const HOURLY: &str = "security.certificates";
const EVERY_HOUR: &str = "41 * * * *";
/// Authorities let a few failures an hour through.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(60), longest: Duration::from_secs(6 * 3600), jitter: 0.2 };
/// How long an authority may take to look, and to sign.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));
/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(280);

/// How a certificate is had.
#[derive(Clone, Debug, Default)]
pub struct AcmeOptions {
    /// The names that it is for.
    pub domains: Vec<String>,
    /// Whom the authority writes to.
    pub contact: Option<String>,
    /// The authority's directory.
    pub directory: String,
    /// A certificate in PEM that the authority's own server is trusted by.
    pub authority: Option<PathBuf>,
    /// What keys are sealed by.
    pub secret: Vec<u8>,
}

/// Has certificates.
pub(crate) struct Acme {
    options: AcmeOptions,
    kept: Kept,
}

impl Acme {
    pub(crate) fn new(options: AcmeOptions) -> Acme {
        let sealer = Sealer::new(&options.secret, "certificates");
        let kept = Kept::new(sealer, &options.directory, &options.domains);
        Acme { options, kept }
    }

    /// The certificate that is there.
    pub(crate) async fn given(&self, engine: &Engine) -> Result<Option<Pair>, Error> {
        self.kept.certificate(engine).await
    }

    /// Asks for one, unless the one that is there is good for long enough.
    pub(crate) async fn ask_for(&self, engine: &Arc<Engine>, ends_s: Option<u64>) {
        if ends_s.is_some() {
            return;
        }
        let jobs = Jobs::of_app(engine.clone());
        if let Err(error) = jobs.enqueue(NewJob::new(JOB, &json!({})).unique("all", Unique::Ignore)).await {
            tracing::error!(%error, "a certificate cannot be asked for now; it is tried again within the hour");
        }
    }

    /// What an authority is shown that looks whether a name is ours; none: nothing is to be proved of that name.
    pub(crate) async fn challenge_of(&self, engine: &Engine, name: &str) -> Option<Arc<ServerConfig>> {
        if !self.options.domains.iter().any(|domain| domain == name) {
            return None;
        }
        let proof = self.kept.proof(engine, name).await.unwrap_or_else(|error| {
            tracing::warn!(%error, name, "the proof cannot be read");
            None
        })?;
        challenge(name, &proof)
            .inspect_err(|error| tracing::error!(%error, name, "the proof cannot be shown"))
            .ok()
            .map(Arc::new)
    }

    /// The jobs by which certificates are had.
    pub(crate) fn definitions(self: &Arc<Self>) -> Result<[Definition; 2], String> {
        let (once, hourly) = (self.clone(), self.clone());
        let one = Definition::new(JOB, move |job: Running, _: serde_json::Value| {
            let acme = once.clone();
            async move { acme.renew(&job).await }
        });
        let look = Definition::new(HOURLY, move |job: Running, _: Scheduled| {
            let acme = hourly.clone();
            async move { acme.renew(&job).await }
        });
        let schedule = Schedule::parse(EVERY_HOUR, "UTC")?;
        Ok([
            one.attempts(20).timeout(TIMEOUT).backoff(BACKOFF),
            look.attempts(1).timeout(TIMEOUT).schedule(schedule, mainstay_jobs::CatchUp::Latest),
        ])
    }

    async fn renew(&self, job: &Running) -> Result<(), JobError> {
        let engine = job.engine();
        let retry = |error: String| JobError::Retry(error);
        let given = self.given(engine).await.map_err(|error| retry(error.to_string()))?;
        if given.is_some_and(|pair| !is_due(&pair)) {
            return Ok(());
        }
        let had = self.have(engine).await;
        // Whatever became of it, nothing is to be proved any more.
        self.kept.forget_proofs(engine).await.map_err(|error| retry(error.to_string()))?;
        let names = &self.options.domains;
        let (kind, detail) = match &had {
            Ok(pair) => ("certificate.had", json!({"names": names, "ends_s": pair.ends_s})),
            Err(error) => ("certificate.refused", json!({"names": names, "why": error.to_string()})),
        };
        audit::keep(engine, kind, detail).await.map_err(|error| retry(error.to_string()))?;
        let pair = had.map_err(|error| retry(error.to_string()))?;
        tracing::info!(
            names = self.options.domains.join(", "),
            ends_s = pair.ends_s,
            "a certificate was had"
        );
        Ok(())
    }

    async fn account(&self, engine: &Engine) -> Result<Account, HadError> {
        let builder = || Ok::<_, HadError>(Account::builder_with_http(Box::new(Client::new(&self.options)?)));
        if let Some(credentials) = self.kept.account(engine).await? {
            return Ok(builder()?.from_credentials(credentials).await?);
        }
        let contact = self.options.contact.as_ref().map(|address| format!("mailto:{address}"));
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = builder()?.create(&new, self.options.directory.clone(), None).await?;
        self.kept.keep_account(engine, &credentials).await?;
        Ok(account)
    }

    /// Has a certificate, and keeps it.
    async fn have(&self, engine: &Engine) -> Result<Pair, HadError> {
        let account = self.account(engine).await?;
        let names: Vec<Identifier> = self.options.domains.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let mut asked = authorization.challenge(ChallengeType::TlsAlpn01).ok_or(HadError::NoChallenge)?;
            let name = asked.identifier().to_string();
            let proof = asked.key_authorization().digest().as_ref().try_into();
            let proof: [u8; 32] = proof.map_err(|_| HadError::NoChallenge)?;
            // It has to stand there before the authority looks.
            self.kept.keep_proof(engine, &name, &proof).await?;
            asked.set_ready().await?;
        }
        if order.poll_ready(&PATIENCE).await? != OrderStatus::Ready {
            return Err(HadError::Refused(refusal(&mut order).await));
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(self.options.domains.clone())?;
        params.distinguished_name = DistinguishedName::new();
        order.finalize_csr(params.serialize_request(&key)?.der()).await?;
        let chain = order.poll_certificate(&PATIENCE).await?;
        let key = key.serialize_pem();
        let pair = Pair::parse(chain.as_bytes(), key.as_bytes())?;
        // One that could not be shown is not kept.
        pair.config()?;
        self.kept.keep_certificate(engine, &chain, &key, pair.ends_s).await?;
        Ok(pair)
    }
}

/// What an authority has to say against the names of an order.
async fn refusal(order: &mut Order) -> String {
    let mut words: Vec<String> = order.state().error.iter().map(ToString::to_string).collect();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let name = state.identifier().to_string();
        let problems = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        words.extend(problems.map(|problem| format!("{name}: {problem}")));
    }
    if words.is_empty() { "it does not say why".to_owned() } else { words.join("; ") }
}

/// Why no certificate was had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HadError {
    #[error("the authority: {0}")]
    Acme(#[from] instant_acme::Error),
    #[error("the authority has no challenge of the kind tls-alpn-01 for the names")]
    NoChallenge,
    #[error("the authority has refused: {0}")]
    Refused(String),
    #[error("{0}")]
    Database(#[from] Error),
    #[error("{0}")]
    Pair(#[from] crate::tls::PairError),
    #[error("the request for a certificate: {0}")]
    Request(#[from] rcgen::Error),
    #[error("http.acme.authority: {0}")]
    Authority(String),
}

/// Whether it is time for another one.
fn is_due(pair: &Pair) -> bool {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let left_s = pair.ends_s.saturating_sub(now_s);
    left_s < pair.ends_s.saturating_sub(pair.begins_s) / 3
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use rcgen::{CertificateParams, KeyPair};

    use super::is_due;
    use crate::tls::Pair;

    #[test]
    fn a_certificate_is_made_anew_when_a_third_of_its_life_is_left() {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec!["app.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let check = |old_days: u64, left_days: u64, expect: bool| {
            let mut pair = Pair::parse(cert.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
            (pair.begins_s, pair.ends_s) = (now_s - old_days * 86_400, now_s + left_days * 86_400);
            assert_eq!(is_due(&pair), expect, "{old_days} {left_days}");
        };
        check(0, 90, false);
        check(58, 32, false);
        check(61, 29, true);
        check(90, 0, true);
    }
}
