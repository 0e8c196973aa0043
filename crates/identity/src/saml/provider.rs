//! Providers that speak SAML while the app runs: what is known of each, the app's own key, and what becomes of an answer.
//!
//! Metadata are kept for an hour and then read anew, by one request while others go on with those that are known; when they cannot be
//! read, the last ones are good for a week or until they say. A signature by a key that is not known has them read anew, for the
//! provider may have changed it. The app's key is made when
//! it is first needed, and kept in the database, encrypted, so that every node has the same. That an assertion was used is kept there, too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_engine::error::{Error, FieldError, Key};
use mainstay_engine::sealed::Sealer;
use mainstay_lang::value::{Timestamp, Value};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use tokio::sync::{Mutex, OnceCell};

use super::artifact::{Artifact, artifact_resolve, read_resolved};
use super::keys::Credential;
use super::metadata::{IdentityProvider, MetadataError, Wanted};
use super::options::{Files, SamlOptions, TRANSIENT};
use super::refused::Refused;
use super::response::{Assertion, Expected, Way, read};
use super::signature::SignatureError;
use crate::desk::{Desk, is_race, later};
use crate::identity::Identity;
use crate::options::IdentityOptions;
use crate::provider::outbound::{Outbound, answer as answered};
use crate::provider::{Address, Vouched};
use crate::token::{hash_of, new_token};

/// Metadata are read anew after this.
const FRESH: Duration = Duration::from_secs(3600);
/// For so long they are good when they cannot be.
const STALE: Duration = Duration::from_secs(7 * 24 * 3600);
/// They are read no more often than this.
const READ_EVERY: Duration = Duration::from_secs(60);
/// And no more often than this where none are known.
const RETRY_EVERY: Duration = Duration::from_secs(5);
/// The row of the app's own key.
const OWN: &str = "own";

/// What the capability holds of SAML.
pub(crate) struct Saml {
    providers: BTreeMap<String, Known>,
    sealer: Sealer,
    outbound: Outbound,
    made: OnceCell<Arc<Credential>>,
}

/// A provider, and what was read of it.
struct Known {
    credential: Option<Arc<Credential>>,
    pinned: Vec<super::keys::PublicKey>,
    metadata: RwLock<Option<(Arc<IdentityProvider>, Timestamp)>>,
    /// When metadata were tried to be read last; held by whoever reads them.
    tried: Mutex<Option<Timestamp>>,
}

/// A provider as it is set.
#[derive(Clone, Copy)]
pub(crate) struct SamlProvider<'a> {
    pub(crate) name: &'a str,
    pub(crate) options: &'a SamlOptions,
    known: &'a Known,
}

/// What has to be known again of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: String,
    /// When it was made, in microseconds, where somebody has to sign in anew.
    pub(crate) anew_after: Option<i64>,
}

/// An answer as it came.
pub(crate) enum Answer {
    Response(Vec<u8>),
    Artifact(String),
}

/// What may be believed, and what keeps it from being used again.
pub(crate) struct Believed {
    pub(crate) vouched: Vouched,
    pub(crate) document: Json,
}

impl Saml {
    /// # Errors
    /// What is wrong with the settings, in words.
    pub(crate) fn new(options: &IdentityOptions, outbound: Outbound) -> Result<Saml, String> {
        let known = |(name, saml): (&String, &SamlOptions)| {
            let Files { credential, pinned } = saml.files(name)?;
            let credential = credential.map(Arc::new);
            let known = Known { credential, pinned, metadata: RwLock::default(), tried: Mutex::default() };
            Ok((name.clone(), known))
        };
        let providers = options.saml.iter().map(known).collect::<Result<_, String>>()?;
        Ok(Saml { providers, sealer: Sealer::new(&options.secret, "saml"), outbound, made: OnceCell::new() })
    }
}

impl Identity {
    /// The provider of a name.
    ///
    /// # Errors
    /// When there is none that speaks SAML.
    pub(crate) fn saml_provider(&self, name: &str) -> Result<SamlProvider<'_>, Error> {
        let unknown = || Error::new(Key::RouteUnknown, "There is no such provider.");
        let (name, options) = self.options.saml.get_key_value(name).ok_or_else(unknown)?;
        let known = self.saml.providers.get(name).ok_or_else(unknown)?;
        Ok(SamlProvider { name, options, known })
    }

    /// What the app calls itself to a provider, and where it takes answers.
    pub(crate) fn saml_names(&self, provider: SamlProvider<'_>) -> (String, String) {
        let base = format!("{}/auth/saml/{}", self.options.url, provider.name);
        let entity = provider.options.entity.clone().unwrap_or_else(|| format!("{base}/metadata"));
        (entity, format!("{base}/acs"))
    }

    /// The app's key.
    ///
    /// # Errors
    /// When the database fails, or the server's secret is another one now.
    pub(crate) async fn saml_credential(
        &self,
        desk: &Desk,
        provider: SamlProvider<'_>,
    ) -> Result<Arc<Credential>, Error> {
        if let Some(own) = &provider.known.credential {
            return Ok(own.clone());
        }
        self.saml.made.get_or_try_init(|| self.saml_credential_made(desk)).await.cloned()
    }

    async fn saml_credential_made(&self, desk: &Desk) -> Result<Arc<Credential>, Error> {
        if let Some(kept) = self.saml_credential_kept(desk).await? {
            return Ok(kept);
        }
        let (app, now) = (desk.engine.schema().app.clone(), desk.now());
        let made = tokio::task::spawn_blocking(move || Credential::make(&app, now)).await;
        let made = made.map_err(Error::internal)?.map_err(Error::internal)?;
        let sealed = self.saml.sealer.seal(&made.private, OWN).map_err(Error::internal)?;
        let certificate =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &made.certificate);
        let row = json!({"create": true, "id": OWN, "private": sealed, "certificate": certificate});
        match desk.ask(vec![json!({"SamlKey": row})]).await {
            Ok(_) => Ok(Arc::new(made)),
            // Another node was faster: its key is everybody's.
            Err(error) if is_race(&error) => {
                let kept = self.saml_credential_kept(desk).await?;
                kept.ok_or_else(|| Error::internal("a key that another node has made is not there"))
            }
            Err(error) => Err(error),
        }
    }

    async fn saml_credential_kept(&self, desk: &Desk) -> Result<Option<Arc<Credential>>, Error> {
        let own = [("id", Value::Text(OWN.to_owned()))];
        let Some(row) = desk.row("SamlKey", "id == $id", &own).await? else { return Ok(None) };
        let private = row.text("private").unwrap_or_default();
        let private = self.saml.sealer.open(private, OWN).map_err(Error::internal)?;
        let certificate = super::keys::der_of(row.text("certificate").unwrap_or_default(), "CERTIFICATE");
        let credential =
            Credential::new(private, certificate.unwrap_or_default()).map_err(Error::internal)?;
        Ok(Some(Arc::new(credential)))
    }

    /// What a provider tells of itself.
    ///
    /// # Errors
    /// [`Key::AuthProviderAway`] when it cannot be read, and was not a short while ago.
    pub(crate) async fn saml_metadata(
        &self,
        desk: &Desk,
        provider: SamlProvider<'_>,
    ) -> Result<Arc<IdentityProvider>, Error> {
        self.saml_metadata_read(desk, provider, FRESH).await
    }

    async fn saml_metadata_read(
        &self,
        desk: &Desk,
        provider: SamlProvider<'_>,
        fresh: Duration,
    ) -> Result<Arc<IdentityProvider>, Error> {
        let now = desk.now();
        let known = || {
            let known = provider.known.metadata.read().clone()?;
            known.0.valid_until.is_none_or(|until| until > now).then_some(known)
        };
        let is_fresh = |read: Timestamp| later(read, fresh) > now;
        let good = || known().filter(|(_, read)| later(*read, STALE) > now).map(|(known, _)| known);
        if let Some((known, _)) = known().filter(|(_, read)| is_fresh(*read)) {
            return Ok(known);
        }
        let mut tried = match (good(), provider.known.tried.try_lock()) {
            (Some(good), Err(_)) => return Ok(good),
            (_, Ok(tried)) => tried,
            (None, Err(_)) => provider.known.tried.lock().await,
        };
        // Whoever was reading them meanwhile may have got them.
        if let Some((known, _)) = known().filter(|(_, read)| is_fresh(*read)) {
            return Ok(known);
        }
        let away = || Error::new(Key::AuthProviderAway, "What the provider tells of itself cannot be read.");
        let pause = if good().is_some() { READ_EVERY } else { RETRY_EVERY };
        if tried.is_some_and(|tried| later(tried, pause) > now) {
            return good().ok_or_else(away);
        }
        *tried = Some(now);
        let read = match source(&self.saml.outbound, provider).await {
            Ok(bytes) => {
                let wanted = Wanted {
                    entity: provider.options.issuer.as_deref(),
                    pinned: &provider.known.pinned,
                    accepted: provider.options.accepted(),
                    now,
                };
                IdentityProvider::read(&bytes, &wanted).map_err(|error: MetadataError| error.to_string())
            }
            Err(words) => Err(words),
        };
        match read {
            Ok(read) => {
                let read = Arc::new(read);
                *provider.known.metadata.write() = Some((read.clone(), now));
                Ok(read)
            }
            Err(words) => {
                tracing::warn!(
                    provider = provider.name,
                    reason = words,
                    "the metadata of a provider cannot be read"
                );
                good().ok_or_else(away)
            }
        }
    }

    /// Looks at an answer.
    ///
    /// # Errors
    /// [`Key::AuthProvider`] when it is not believed, with why.
    pub(crate) async fn saml_believed(
        &self,
        desk: &Desk,
        provider: SamlProvider<'_>,
        (request, answer): (Option<&Request>, &Answer),
    ) -> Result<Believed, Error> {
        let credential = self.saml_credential(desk, provider).await?;
        let mut idp = self.saml_metadata(desk, provider).await?;
        let answer = self.resolved(desk, provider, (&idp, &credential), answer).await;
        let answer = answer.map_err(|refused| self.saml_refused(provider, &refused))?;
        let mut outcome = self.looked_at(desk, provider, (&idp, &credential), (request, &answer));
        if matches!(outcome, Err(Refused::Signature(SignatureError::Key))) {
            // Perhaps the provider signs with a key that is new.
            idp = self.saml_metadata_read(desk, provider, READ_EVERY).await?;
            outcome = self.looked_at(desk, provider, (&idp, &credential), (request, &answer));
        }
        let believed = outcome.and_then(|assertion| {
            let id = hash_of(&format!("{} {} {}", provider.name, idp.entity, assertion.id));
            let document = json!({"SamlAssertion": {
                "create": true, "id": id, "expires": assertion.good_until.to_string(),
            }});
            Ok(Believed { vouched: vouched(provider, assertion)?, document })
        });
        believed.map_err(|refused| self.saml_refused(provider, &refused))
    }

    fn looked_at(
        &self,
        desk: &Desk,
        provider: SamlProvider<'_>,
        (idp, credential): (&IdentityProvider, &Credential),
        (request, answer): (Option<&Request>, &Resolved),
    ) -> Result<Assertion, Refused> {
        let (audience, recipient) = self.saml_names(provider);
        let expected = Expected {
            issuer: &idp.entity,
            keys: &idp.keys,
            accepted: provider.options.accepted(),
            audience: &audience,
            recipient: &recipient,
            credential,
            way: match answer {
                Resolved::Response(_) => Way::Post,
                Resolved::Envelope { .. } => Way::Artifact,
            },
            request: request.map(|request| request.id.as_str()),
            signed_in_after: request.and_then(|request| request.anew_after).map(Timestamp),
            contexts: &provider.options.contexts,
            now: desk.now(),
            skew: provider.options.skew,
        };
        match answer {
            Resolved::Response(bytes) => read(bytes, &expected),
            Resolved::Envelope { bytes, asked } => read_resolved(bytes, asked, &expected),
        }
    }

    /// Asks the provider for what an artifact stands for.
    async fn resolved(
        &self,
        desk: &Desk,
        provider: SamlProvider<'_>,
        (idp, credential): (&IdentityProvider, &Credential),
        answer: &Answer,
    ) -> Result<Resolved, Refused> {
        let artifact = match answer {
            Answer::Response(bytes) => return Ok(Resolved::Response(bytes.clone())),
            Answer::Artifact(artifact) => artifact,
        };
        let known =
            Artifact::read(artifact).filter(|known| known.is_of(&idp.entity)).ok_or(Refused::Artifact)?;
        let at = idp.artifacts.iter().find(|(index, _)| *index == known.endpoint);
        let (_, address) = at.ok_or(Refused::Artifact)?;
        let asked = new_token().map_err(|_| Refused::BackChannel("nothing can be asked".to_owned()))?;
        let asked = format!("_{asked}");
        let (entity, _) = self.saml_names(provider);
        let envelope = artifact_resolve((&asked, desk.now()), (&entity, address), artifact, credential)?;
        let away =
            |_| Refused::BackChannel("it cannot be reached, or does not answer as it should".to_owned());
        let request = self.saml.outbound.post(address).map_err(away)?;
        let request = request.header("content-type", "text/xml; charset=utf-8");
        let request = request.header("soapaction", "\"http://www.oasis-open.org/committees/security\"");
        let bytes = answered(provider.name, request.body(envelope)).await.map_err(away)?.body;
        Ok(Resolved::Envelope { bytes, asked })
    }

    /// Counts and tells what is not believed.
    pub(crate) fn saml_refused(&self, provider: SamlProvider<'_>, refused: &Refused) -> Error {
        metrics::counter!(
            "mainstay_identity_saml_refused_total",
            "provider" => provider.name.to_owned(), "reason" => refused.key()
        )
        .increment(1);
        tracing::info!(provider = provider.name, reason = refused.key(), %refused, "an answer of a provider was refused");
        let key = match refused {
            Refused::BackChannel(_) => Key::AuthProviderAway,
            _ => Key::AuthProvider,
        };
        let words = refused.to_string();
        let field = FieldError {
            path: "/SAMLResponse".to_owned(),
            key: refused.key().to_owned(),
            message: words.clone(),
        };
        Error { errors: vec![field], ..Error::new(key, words) }
    }
}

/// An answer that is there whole.
enum Resolved {
    Response(Vec<u8>),
    Envelope { bytes: Vec<u8>, asked: String },
}

async fn source(outbound: &Outbound, provider: SamlProvider<'_>) -> Result<Vec<u8>, String> {
    let metadata = &provider.options.metadata;
    if metadata.contains("://") {
        let request = outbound.get(metadata).map_err(|error| error.to_string())?;
        let answer = answered(provider.name, request).await.map_err(|error| error.detail)?;
        return match answer.status.is_success() {
            true => Ok(answer.body),
            false => Err(format!("the answer is {}", answer.status)),
        };
    }
    let path = metadata.clone();
    let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
    read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// Whom an assertion vouches for, as the settings read it.
fn vouched(provider: SamlProvider<'_>, assertion: Assertion) -> Result<Vouched, Refused> {
    let options = provider.options;
    let one = |name: &str| assertion.attributes.get(name).and_then(|values| values.first()).cloned();
    let said = |name: &Option<String>| name.as_deref().and_then(one).filter(|value| !value.is_empty());
    let subject = match &options.subject {
        Some(name) => {
            // Two would let a provider's user choose between two people.
            let values = assertion.attributes.get(name).map(Vec::as_slice).unwrap_or_default();
            match values {
                [value] if !value.is_empty() => value.clone(),
                _ => return Err(Refused::Subject(format!("one value of the attribute `{name}`"))),
            }
        }
        None => {
            let name_id = assertion.name_id.as_ref();
            let name_id = name_id.filter(|name_id| name_id.format.as_deref() != Some(TRANSIENT));
            let missing = || Refused::Subject("a `NameID` that is not transient".to_owned());
            name_id.ok_or_else(missing)?.value.clone()
        }
    };
    let email = said(&options.email).map(|email| email.trim().to_lowercase());
    let email = email
        .map(|email| if options.email_verified { Address::Verified(email) } else { Address::Claimed(email) });
    let mut attributes: Map<String, Json> = assertion
        .attributes
        .iter()
        .map(|(name, values)| match &values[..] {
            [value] => (name.clone(), json!(value)),
            values => (name.clone(), json!(values)),
        })
        .collect();
    attributes.extend(assertion.context.map(|context| ("AuthnContextClassRef".to_owned(), json!(context))));
    Ok(Vouched {
        provider: provider.name.to_owned(),
        subject,
        email,
        name: said(&options.name),
        attributes,
        session_ends: assertion.session_ends.map(|at| at.0),
    })
}
