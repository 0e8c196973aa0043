//! Who may say whom a request comes from, beside the command line's own tokens: a plugin that keeps identities.
//!
//! What it answers are claims. That the user is there, that the session has not ended and that the user belongs to the tenant is
//! looked at by the engine with each request ([`CallerPart`](mainstay_engine::plugin::CallerPart)).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::{HeaderMap, Method};
use mainstay_engine::Engine;
use mainstay_engine::error::Error;
use mainstay_engine::plugin::Setup;
use mainstay_lang::value::{Timestamp, Value};

/// What a request brings of who sends it.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'r> {
    /// The token of `Authorization: Bearer TOKEN`.
    pub token: Option<&'r str>,
    /// Its method: what changes nothing needs no proof that the page that asks is our own.
    pub method: &'r Method,
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// When it came.
    pub now: Timestamp,
}

/// Whom a request comes from, and for which tenant it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identified {
    /// The key of the user; none: nobody in particular.
    pub user: Option<Value>,
    /// The tenant.
    pub tenant: Option<Value>,
    /// The session.
    pub session: Option<Value>,
    /// When the credentials end; none: they don't by themselves.
    pub ends: Option<Timestamp>,
}

/// Whom a request comes from, or why it is refused.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Identified, Error>> + Send + 'a>>;

/// Tells whom requests come from.
pub trait Authenticate: Send + Sync + 'static {
    /// Whom a request comes from. One without credentials is nobody's; one with credentials that prove nothing is an error
    /// ([`Key::Credentials`](mainstay_engine::error::Key::Credentials)), never nobody's.
    fn identify<'a>(&'a self, engine: &'a Arc<Engine>, presented: Presented<'a>) -> Answer<'a>;
}

/// The one who tells, in the engine's parts.
#[derive(Clone)]
pub(crate) struct Authenticator(pub(crate) Arc<dyn Authenticate>);

/// The word that this adds to a plugin's set-up.
pub trait SetupAuthenticate {
    /// Lets a plugin tell whom requests come from. There can be one.
    fn authenticate(&mut self, by: Arc<dyn Authenticate>) -> &mut Self;
}

impl SetupAuthenticate for Setup<'_> {
    fn authenticate(&mut self, by: Arc<dyn Authenticate>) -> &mut Self {
        self.keep(Authenticator(by))
    }
}
