//! Access tokens, and whom a request comes from.
//!
//! An access token is a JWT (RFC 7519) that names a user, a session and perhaps a tenant, signed with the app's own key. It is good for
//! minutes and proves a claim, no more: that the session has not ended, who the user is and what the roles say is looked at with each
//! request, from what the engine keeps of callers. A key of a program is opaque and found by its hash.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, Method, header};
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use mainstay_engine::Engine;
use mainstay_engine::error::{Error, Key};
use mainstay_http::{Answer, Authenticate, Identified, Presented};
use mainstay_lang::value::{Timestamp, Value};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cookies::{self, Cookie};
use crate::desk::{Desk, time};
use crate::identity::Identity;
use crate::session;
use crate::token::{TOKEN_CHARS, hash_of};

/// What the keys of programs begin with, so that people and scanners know one when they see it.
pub(crate) const KEY_PREFIX: &str = "mk_";

/// Clocks of nodes may differ by so many seconds.
const LEEWAY_S: u64 = 5;

/// Tokens that are remembered at a time, by a hash.
const KNOWN_MAX: usize = 100_000;

/// Tenants that are remembered at a time.
const TENANTS_MAX: usize = 10_000;

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    sid: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tid: Option<Uuid>,
    /// Whether it is for that tenant alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    bound: bool,
    iat: i64,
    exp: i64,
}

/// What a good token says.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    user: Value,
    session: Uuid,
    tenant: Option<Uuid>,
    is_bound: bool,
    ends: Timestamp,
}

/// What is remembered of tokens and tenants.
pub(crate) struct Remembered {
    tokens: Cache<[u8; 16], Known>,
    slugs: Tenants,
    hosts: Tenants,
}

/// Tenants by a name, and when they were read.
type Tenants = Cache<Box<str>, ((u64, u64), Option<Uuid>)>;

impl Remembered {
    pub(crate) fn new() -> Remembered {
        let tenants = || Cache::new(TENANTS_MAX);
        Remembered { tokens: Cache::new(KNOWN_MAX), slugs: tenants(), hosts: tenants() }
    }
}

/// For whom an access token is made.
pub(crate) struct Bearer<'a> {
    pub(crate) user: &'a Value,
    pub(crate) session: Uuid,
    pub(crate) tenant: Option<Uuid>,
    /// Whether it is for that tenant alone.
    pub(crate) is_bound: bool,
    /// The session's own end.
    pub(crate) session_ends: Timestamp,
}

impl Identity {
    /// A new access token, and when it ends.
    pub(crate) async fn access_token(
        &self,
        desk: &Desk,
        bearer: Bearer<'_>,
    ) -> Result<(String, Timestamp), Error> {
        let key = self.keys.current(desk).await?;
        let now = desk.now();
        let ends = crate::desk::later(now, self.options.access_ttl).min(bearer.session_ends);
        let claims = Claims {
            iss: desk.engine.schema().app.clone(),
            sub: bearer.user.to_string(),
            sid: bearer.session,
            tid: bearer.tenant,
            bound: bearer.is_bound,
            iat: now.0 / 1_000_000,
            exp: ends.0.div_euclid(1_000_000),
        };
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::EdDSA) };
        let token = encode(&header, &claims, &key.encoding).map_err(Error::internal)?;
        Ok((token, Timestamp(claims.exp * 1_000_000)))
    }

    async fn known(&self, desk: &Desk, token: &str) -> Result<Option<Known>, Error> {
        let mut name = [0; 16];
        name.copy_from_slice(&digest(&SHA256, token.as_bytes()).as_ref()[..16]);
        let is_good = |known: &Known| known.ends > desk.now();
        if let Some(known) = self.remembered.tokens.get(&name) {
            return Ok(Some(known).filter(is_good));
        }
        let known = match token.strip_prefix(KEY_PREFIX) {
            Some(_) => self.known_key(desk, token).await?,
            None => self.known_access(desk, token).await?,
        };
        let known = known.filter(is_good);
        if let Some(known) = &known {
            self.remembered.tokens.insert(name, known.clone());
        }
        Ok(known)
    }

    /// The session of a token that is good; whether the session still is, is for whoever asks.
    pub(crate) async fn session_by(&self, desk: &Desk, token: &str) -> Result<Option<Value>, Error> {
        Ok(self.known(desk, token).await?.map(|known| Value::Uuid(known.session)))
    }

    async fn known_access(&self, desk: &Desk, token: &str) -> Result<Option<Known>, Error> {
        let Ok(header) = decode_header(token) else { return Ok(None) };
        let Some(id) = header.kid.filter(|id| header.alg == Algorithm::EdDSA && id.len() == TOKEN_CHARS)
        else {
            return Ok(None);
        };
        let Some(key) = self.keys.find(desk, &id).await? else { return Ok(None) };
        let schema = desk.engine.schema();
        let mut validation = Validation::new(Algorithm::EdDSA);
        // By the request's clock, as when it is remembered.
        validation.validate_exp = false;
        validation.set_issuer(&[&schema.app]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        let Ok(token) = decode::<Claims>(token, &key.decoding, &validation) else { return Ok(None) };
        let claims = token.claims;
        let Some(users) = schema.user_table() else { return Ok(None) };
        let Ok(user) = Value::parse_text(&claims.sub, schema.key_type(users.id)) else { return Ok(None) };
        let leeway = Duration::from_secs(LEEWAY_S);
        Ok(Some(Known {
            user,
            session: claims.sid,
            tenant: claims.tid,
            is_bound: claims.bound,
            ends: crate::desk::later(Timestamp(claims.exp.saturating_mul(1_000_000)), leeway),
        }))
    }

    async fn known_key(&self, desk: &Desk, token: &str) -> Result<Option<Known>, Error> {
        let id = Value::Text(hash_of(token));
        let filter = "tokens.any(id == $id) and ended == null and method == key";
        let Some(row) = desk.row("Session", filter, &[("id", id)]).await? else { return Ok(None) };
        let Some(ends) = time(&row, "expires") else { return Ok(None) };
        let tenant = match row.value("within")? {
            Value::Uuid(tenant) => Some(*tenant),
            _ => None,
        };
        Ok(Some(Known {
            user: row.value("owner")?.clone(),
            session: session::uuid(&row)?,
            tenant,
            is_bound: false,
            ends,
        }))
    }

    /// The tenant that a request names by a header, its host or the page that it comes from.
    pub(crate) async fn named_tenant(&self, desk: &Desk, headers: &HeaderMap) -> Result<Option<Uuid>, Error> {
        let text = |name: &header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(named) = text(&mainstay_http::TENANT) {
            let unknown = || Error::new(Key::TenantRefused, "There is no such tenant for you.");
            let named = named.trim();
            if let Ok(id) = Uuid::try_parse(named) {
                // Whether it is there shows when the caller is looked for among its members; nobody's requests see what is for all.
                return Ok(Some(id));
            }
            let found = self.tenant(desk, (&self.remembered.slugs, "slug == $name"), named).await?;
            return found.ok_or_else(unknown).map(Some);
        }
        for name in [header::HOST, header::ORIGIN] {
            if let Some(place) = text(&name)
                && let Some(tenant) = self.tenant_at(desk, place).await?
            {
                return Ok(Some(tenant));
            }
        }
        Ok(None)
    }

    /// The tenant that is reached by a host or origin.
    pub(crate) async fn tenant_at(&self, desk: &Desk, place: &str) -> Result<Option<Uuid>, Error> {
        self.tenant(desk, (&self.remembered.hosts, "$name in hosts"), place).await
    }

    async fn tenant(
        &self,
        desk: &Desk,
        (known, filter): (&Tenants, &'static str),
        name: &str,
    ) -> Result<Option<Uuid>, Error> {
        let version = desk.engine.callers_version();
        // Names are asked for as browsers and programs write them: mostly in lower case already.
        let name = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(name.to_ascii_lowercase()),
            false => Cow::Borrowed(name),
        };
        if let Some((read, tenant)) = known.get(&*name)
            && read == version
        {
            return Ok(tenant);
        }
        let row = desk.row("Tenant", filter, &[("name", Value::Text(name.clone().into_owned()))]).await?;
        let tenant = row.and_then(|row| match row.key() {
            Value::Uuid(id) => Some(*id),
            _ => None,
        });
        known.insert(name.into(), (version, tenant));
        Ok(tenant)
    }

    async fn identified(&self, engine: &Arc<Engine>, presented: Presented<'_>) -> Result<Identified, Error> {
        let desk = self.desk_at(engine, presented.now);
        let cookie = match presented.token {
            Some(_) => None,
            None => self.cookie(presented.headers, Cookie::Access),
        };
        let known = match presented.token.or(cookie) {
            None => None,
            Some(token) => {
                let known = self.known(&desk, token).await?;
                let words = "The token is not valid here, or no longer: ask for a new one.";
                Some(known.ok_or_else(|| Error::new(Key::Credentials, words))?)
            }
        };
        if let (Some(_), Some(known)) = (cookie, &known) {
            self.page_check(presented.method, presented.headers, &Value::Uuid(known.session))?;
        }
        let named = self.named_tenant(&desk, presented.headers).await?;
        if let Some(known) = &known
            && known.is_bound
            && named.is_some()
            && named != known.tenant
        {
            return Err(Error::new(
                Key::TenantRefused,
                "The provider of a tenant vouches for them there alone.",
            ));
        }
        Ok(match known {
            None => Identified { tenant: named.map(Value::Uuid), ..Identified::default() },
            Some(known) => Identified {
                user: Some(known.user),
                tenant: named.or(known.tenant).map(Value::Uuid),
                session: Some(Value::Uuid(known.session)),
                ends: Some(known.ends),
            },
        })
    }

    /// A browser sends its cookies whoever has written the page. What changes something shows that the page could read one.
    fn page_check(&self, method: &Method, headers: &HeaderMap, session: &Value) -> Result<(), Error> {
        if method.is_safe() {
            return Ok(());
        }
        let said = headers.get(cookies::CSRF_HEADER).and_then(|value| value.to_str().ok());
        if said.is_some_and(|said| cookies::is_csrf(&self.csrf_key, session, said)) {
            return Ok(());
        }
        let words = format!(
            "Send the value of the cookie `{}` in the header `X-CSRF-Token`.",
            Cookie::Csrf.name(self.options.secure_cookies)
        );
        Err(Error::new(Key::AuthCsrf, words))
    }

    fn desk_at(&self, engine: &Arc<Engine>, now: Timestamp) -> Desk {
        Desk::at(engine, now, &self.lookups)
    }
}

impl Authenticate for Identity {
    fn identify<'a>(&'a self, engine: &'a Arc<Engine>, presented: Presented<'a>) -> Answer<'a> {
        Box::pin(self.identified(engine, presented))
    }
}
