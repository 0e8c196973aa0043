//! The one place where a request becomes a `Ctx`.
//!
//! Knows how a caller proves who it is; what the caller may do is the engine's business. No header is the anonymous
//! caller; a header that proves nothing is 401, never anonymous: a client whose token ran out must learn of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, Method, header};
use mainstay_engine::ctx::{Caller, Claims, Ctx};
use mainstay_engine::error::{Error, Key};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use uuid::{Builder, Uuid};

use crate::authenticate::{Authenticator, Identified, Presented};
use crate::options::Options;
use crate::token::{Subject, TokenVerifier};
use mainstay_engine::{Clock, Engine};

/// Names a request in logs and answers; a client or proxy may give it.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names the tenant that a request is for.
pub const TENANT: HeaderName = HeaderName::from_static("x-tenant");

/// Longer ids are replaced rather than carried through every log line.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Turns what a request carries into who asks and under what conditions.
pub(crate) struct Credentials {
    tokens: TokenVerifier,
    /// A plugin that tells whom requests come from.
    plugin: Option<Authenticator>,
    user_key: Option<Type>,
    /// Nobody, whom all those are who show nothing.
    anonymous: Arc<Caller>,
    request_timeout: Duration,
    clock: Clock,
}

/// When credentials end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    unix_s: u64,
}

impl Ends {
    /// The time until then.
    pub(crate) fn remaining(self, clock: &Clock) -> Duration {
        let now_us = u64::try_from(clock.now().0).unwrap_or_default();
        Duration::from_micros(self.unix_s.saturating_mul(1_000_000).saturating_sub(now_us))
    }
}

impl Credentials {
    pub(crate) fn new(options: &Options, engine: &Engine) -> Credentials {
        let schema = engine.schema();
        Credentials {
            tokens: TokenVerifier::new(&options.token_secret, &schema.app),
            plugin: engine.parts().get::<Authenticator>().cloned(),
            user_key: schema.user_table().map(|table| schema.key_type(table.id).clone()),
            anonymous: Arc::new(Caller::anonymous()),
            request_timeout: options.limits.request_timeout,
            clock: options.clock.clone(),
        }
    }

    /// Who asks, with the request's clock and deadline; and when the credentials end, for whoever stays.
    pub(crate) async fn context(
        &self,
        engine: &Arc<Engine>,
        (method, headers): (&Method, &HeaderMap),
        request_id: Arc<str>,
    ) -> Result<(Ctx, Option<Ends>), Error> {
        let token = bearer(headers)?;
        if let Some((subject, ends)) = token.and_then(|token| self.tokens.verify(token)) {
            let caller = match subject {
                Subject::Admin => Arc::new(Caller::administrator()),
                Subject::User(key) => self.user(engine, &key).await?,
            };
            return Ok((self.context_of(caller, request_id), Some(Ends { unix_s: ends })));
        }
        let Some(plugin) = &self.plugin else {
            return match token {
                None => Ok((self.anonymous(request_id), None)),
                Some(_) => Err(refused("The token is not valid here, or no longer: ask for a new one.")),
            };
        };
        let presented = Presented { token, method, headers, now: self.clock.now() };
        let Identified { user, tenant, session, ends } = plugin.0.identify(engine, presented).await?;
        let caller = match user {
            None => self.anonymous.clone(),
            Some(user) => {
                let claims = Claims { user, tenant: tenant.clone(), session: session.clone() };
                engine
                    .caller(&claims)
                    .await?
                    .ok_or_else(|| refused("The session has ended: sign in again."))?
            }
        };
        let ends = ends.map(|ends| Ends { unix_s: u64::try_from(ends.0 / 1_000_000).unwrap_or_default() });
        Ok((Ctx { tenant, session, ..self.context_of(caller, request_id) }, ends))
    }

    /// For routes that look at no credentials.
    pub(crate) fn anonymous(&self, request_id: Arc<str>) -> Ctx {
        self.context_of(self.anonymous.clone(), request_id)
    }

    fn context_of(&self, caller: Arc<Caller>, request_id: Arc<str>) -> Ctx {
        Ctx {
            caller,
            tenant: None,
            session: None,
            now: self.clock.now(),
            deadline: Instant::now() + self.request_timeout,
            request_id,
            trace: None,
        }
    }

    async fn user(&self, engine: &Arc<Engine>, key: &str) -> Result<Arc<Caller>, Error> {
        let gone = || refused("The token's user is no longer there.");
        let user = self.user_key.as_ref().and_then(|ty| key_value(ty, key)).ok_or_else(gone)?;
        engine.caller(&Claims::user(user)).await?.ok_or_else(gone)
    }
}

/// The token of `Authorization: Bearer TOKEN`.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused("There are several `Authorization` headers."));
    }
    let token = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim()));
    token.map(Some).ok_or_else(|| refused("`Authorization` is read as `Bearer TOKEN`."))
}

/// The id that the request came with, when it is short and plain, else a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|text| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
        (1..=REQUEST_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain)
    });
    match given {
        Some(text) => Arc::from(text),
        None => Arc::from(new_request_id().hyphenated().encode_lower(&mut Uuid::encode_buffer()) as &str),
    }
}

/// A UUID of version 7 whose random bits were drawn once for the process and are counted on: it names a request and protects nothing,
/// and drawing them anew takes longer than all else about the name.
fn new_request_id() -> Uuid {
    static DRAWN: LazyLock<u128> = LazyLock::new(|| Uuid::new_v4().as_u128());
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let bits = DRAWN.wrapping_add(u128::from(count)).to_be_bytes();
    let mut of_place = [0; 10];
    of_place.copy_from_slice(&bits[6..]);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &of_place).into_uuid()
}

/// A key written as text, in a path or a token.
pub(crate) fn key_value(ty: &Type, text: &str) -> Option<Value> {
    match ty {
        Type::Int => {
            let number: i64 = text.parse().ok()?;
            (number.to_string() == text).then_some(Value::Int(number))
        }
        Type::Uuid => Uuid::try_parse(text).ok().map(Value::Uuid),
        Type::Text { .. } => (!text.contains('\0')).then(|| Value::Text(text.to_owned())),
        _ => None,
    }
}

fn refused(words: &str) -> Error {
    Error::new(Key::Credentials, words)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};
    use mainstay_lang::types::Type;
    use uuid::Uuid;

    use super::{REQUEST_ID, key_value, request_id};

    #[test]
    fn a_sane_request_id_is_kept_and_another_replaced() {
        let check = |given: &str, kept: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(given).unwrap());
            assert_eq!(&*request_id(&headers) == given, kept, "{given}");
        };
        check("018f-ab:3/x", true);
        check(&"a".repeat(129), false);
        check("two words", false);
        check("\"><script>", false);
        check("", false);
    }

    #[test]
    fn a_request_without_an_id_is_given_one_of_its_own() {
        let ids = || (0..1000).map(|_| request_id(&HeaderMap::new())).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(ids)).collect();
        let mut ids: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        for id in &ids {
            let read = Uuid::try_parse(id).unwrap();
            assert_eq!((read.get_version_num(), read.to_string().as_str()), (7, &**id));
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4000);
    }

    #[test]
    fn a_key_that_is_not_written_as_its_type_is_none() {
        let check = |ty: Type, text: &str, expect: bool| {
            assert_eq!(key_value(&ty, text).is_some(), expect, "{text}");
        };
        check(Type::Int, "42", true);
        check(Type::Int, "+42", false);
        check(Type::Int, "042", false);
        check(Type::Int, "99999999999999999999", false);
        check(Type::Uuid, "018f0000-0000-7000-8000-000000000000", true);
        check(Type::Uuid, "x", false);
        check(Type::Text { max: None }, "a/b", true);
        check(Type::Text { max: None }, "a\0b", false);
    }
}
