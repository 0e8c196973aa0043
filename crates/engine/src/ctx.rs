//! Who asks, and under what conditions: one context for every way in.

mod row;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub use mainstay_lang::expr::{Confirmed, Factor};
use mainstay_lang::value::{Timestamp, Value};

use crate::confirmed::recent_required;
use crate::error::Error;
use crate::trace::TraceContext;

pub use row::CallerRow;

/// The conditions of one request. Made once, where a request enters; passed first to everything behind.
#[derive(Clone, Debug)]
pub struct Ctx {
    /// Who asks.
    pub caller: Arc<Caller>,
    /// The tenant that the request is for.
    pub tenant: Option<Value>,
    /// The session behind the credentials.
    pub session: Option<Value>,
    /// The request's clock: `now()` throughout.
    pub now: Timestamp,
    /// When the request is given up.
    pub deadline: Instant,
    /// For logs and error documents.
    pub request_id: Arc<str>,
    /// The trace that it belongs to; none: nobody traces it.
    pub trace: Option<Arc<TraceContext>>,
}

/// Who the credentials of a request say that it is: what a [`Caller`] is read by.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// The key of the user's row.
    pub user: Value,
    /// The tenant that the request is for.
    pub tenant: Option<Value>,
    /// The session behind the credentials.
    pub session: Option<Value>,
}

impl Claims {
    /// A user in no tenant, without a session: somebody whom the server itself speaks for.
    pub fn user(user: Value) -> Claims {
        Claims { user, tenant: None, session: None }
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key of the caller's row; `None`: anonymous, or an administrator without a row.
    pub user: Option<Value>,
    /// Whether every rule is passed (not the checks).
    pub admin: bool,
    /// Permissions granted: `user.can("…")`.
    pub permissions: Arc<BTreeSet<String>>,
    /// Roles held: `user.has_role("…")`.
    pub roles: Arc<BTreeSet<String>>,
    /// When the session has last shown who it is, by whatever; none: it cannot.
    pub confirmed: Option<Timestamp>,
    /// When it has last shown a second factor.
    pub confirmed_twice: Option<Timestamp>,
    /// The caller's row and what the rules read from there; none: nobody has read it.
    pub row: Option<CallerRow>,
    /// Set once it was seen that the caller may read the own row; only where nothing but this value and that row decide.
    pub sees_self: OnceLock<()>,
}

impl Ctx {
    /// `user.confirmed(5 minutes)` and its kin.
    pub fn confirmed(&self, asked: Confirmed) -> bool {
        self.caller.confirmed_until(asked).is_some_and(|until| self.now < until)
    }

    /// The same request of somebody who has shown everything just now: to tell whether that alone is missing.
    pub(crate) fn if_confirmed(&self) -> Ctx {
        let now = Some(self.now);
        let caller = Caller {
            confirmed: now,
            confirmed_twice: now,
            sees_self: OnceLock::new(),
            ..Caller::clone(&self.caller)
        };
        Ctx { caller: Arc::new(caller), ..self.clone() }
    }

    /// Asks for somebody who has shown who they are no longer ago than this: for routes of plugins.
    ///
    /// # Errors
    /// [`Key::AuthRecent`](crate::error::Key::AuthRecent) when it is longer ago, with what would do.
    pub fn require_confirmed(&self, factor: Factor, within: Duration) -> Result<(), Error> {
        let within_us = i64::try_from(within.as_micros()).unwrap_or(i64::MAX);
        match self.caller.admin || self.confirmed(Confirmed { factor, within_us }) {
            true => Ok(()),
            false => Err(recent_required(factor)),
        }
    }
}

impl Caller {
    /// Until when somebody counts as having shown who they are; none: they have not.
    pub fn confirmed_until(&self, asked: Confirmed) -> Option<Timestamp> {
        let at = match asked.factor {
            Factor::Any => self.confirmed,
            Factor::Second => self.confirmed_twice,
        };
        self.user.as_ref()?;
        Some(Timestamp(at?.0.saturating_add(asked.within_us)))
    }

    /// Nobody in particular.
    pub fn anonymous() -> Caller {
        Caller {
            user: None,
            admin: false,
            permissions: Arc::default(),
            roles: Arc::default(),
            confirmed: None,
            confirmed_twice: None,
            row: None,
            sees_self: OnceLock::new(),
        }
    }

    /// One who passes every rule.
    pub fn administrator() -> Caller {
        Caller { admin: true, ..Caller::anonymous() }
    }
}
