//! Whether a request is let in beside others of the same client: a plugin counts them, and is asked here.
//!
//! It is asked twice: by address before anything is read of a request, so that a flood costs next to nothing, and by user once that
//! one is known. Requests over a socket come this way as all others do, and a subscription is one of them. Health and metrics are never
//! refused. What is told of the limit stands in the headers of the answer (draft-ietf-httpapi-ratelimit-headers-10).

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use mainstay_engine::error::{Error, Key};
use mainstay_engine::plugin::Setup;
use mainstay_lang::value::Value;
use parking_lot::Mutex;

use crate::app::App;

pub(crate) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(crate) const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// By whom a request is counted.
#[derive(Clone, Copy, Debug)]
pub enum By<'r> {
    /// The address that it comes from.
    Address(IpAddr),
    /// The user who asks.
    User(&'r Value),
}

/// A request that wants to come in.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'r> {
    /// Its method.
    pub method: &'r Method,
    /// The pattern of its route; `(none)` where no route takes it.
    pub route: &'r str,
    /// By whom it is counted.
    pub by: By<'r>,
}

/// How a client stands with the limit that leaves it least.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The limit's name.
    pub name: Arc<str>,
    /// How it is told of: `"name";q=100;w=60`.
    pub policy: HeaderValue,
    /// Requests that are left at the moment.
    pub remaining: u32,
    /// Seconds until all of them are there again.
    pub reset_s: u32,
    /// The request is one too many: seconds until there is room for another.
    pub refused_s: Option<u32>,
}

/// Counts requests.
pub trait Admit: Send + Sync + 'static {
    /// Counts a request and tells how its client stands; `None`: nothing limits it.
    fn admit(&self, asking: &Asking<'_>) -> Option<Standing>;
}

/// The one who counts, in the engine's parts.
#[derive(Clone)]
pub(crate) struct Doorkeeper(pub(crate) Arc<dyn Admit>);

/// The word that this adds to a plugin's set-up.
pub trait SetupAdmit {
    /// Lets a plugin count requests and refuse those that are too many. There can be one.
    fn admit(&mut self, by: Arc<dyn Admit>) -> &mut Self;
}

impl SetupAdmit for Setup<'_> {
    fn admit(&mut self, by: Arc<dyn Admit>) -> &mut Self {
        self.keep(Doorkeeper(by))
    }
}

/// How one request stands.
#[derive(Clone, Default)]
pub(crate) struct Admission(Option<Arc<Mutex<Stand>>>);

#[derive(Default)]
struct Stand {
    least: Option<Standing>,
    /// Whether its user was counted: once, however often a handler looks who asks.
    by_user: bool,
}

impl App {
    /// For one request; without somebody who counts it costs nothing.
    pub(crate) fn admission(&self) -> Admission {
        Admission(self.doorkeeper.as_ref().map(|_| Arc::default()))
    }

    /// Counts a request by the address that it comes from.
    pub(crate) fn admit_address(
        &self,
        admission: &Admission,
        (method, route): (&Method, &str),
        address: impl FnOnce() -> Option<IpAddr>,
    ) -> Result<(), Error> {
        let (Some(door), Some(stand)) = (&self.doorkeeper, &admission.0) else { return Ok(()) };
        let Some(address) = address() else { return Ok(()) };
        take(stand, door.0.admit(&Asking { method, route, by: By::Address(address) }))
    }

    /// Counts a request by the user who asks.
    pub(crate) fn admit_user(
        &self,
        admission: &Admission,
        (method, route): (&Method, &str),
        user: Option<&Value>,
    ) -> Result<(), Error> {
        let (Some(door), Some(stand)) = (&self.doorkeeper, &admission.0) else { return Ok(()) };
        let Some(user) = user else { return Ok(()) };
        if std::mem::replace(&mut stand.lock().by_user, true) {
            return Ok(());
        }
        take(stand, door.0.admit(&Asking { method, route, by: By::User(user) }))
    }
}

fn take(stand: &Mutex<Stand>, standing: Option<Standing>) -> Result<(), Error> {
    let Some(standing) = standing else { return Ok(()) };
    let refused = standing.refused_s;
    let mut stand = stand.lock();
    let is_less = |least: &Standing| refused.is_some() || standing.remaining < least.remaining;
    if stand.least.as_ref().is_none_or(is_less) {
        stand.least = Some(standing);
    }
    let Some(seconds) = refused else { return Ok(()) };
    let words = format!("Too many requests in a short time; ask again in {seconds} s.");
    Err(Error { retry_after_s: Some(seconds), ..Error::new(Key::RateLimit, words) })
}

impl Admission {
    /// Tells in the headers of an answer how the client stands.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let Some(stand) = &self.0 else { return };
        let Some(Standing { name, policy, remaining, reset_s, .. }) = stand.lock().least.take() else {
            return;
        };
        let limit = format!("\"{name}\";r={remaining};t={reset_s}");
        if let Ok(limit) = HeaderValue::try_from(limit) {
            headers.insert(POLICY, policy);
            headers.insert(LIMIT, limit);
        }
    }
}
