//! Who asks, and under what conditions: one context for every way in.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use mainstay_lang::schema::ColumnId;
use mainstay_lang::value::{Timestamp, Value};

use crate::catalog::CallerPaths;
use crate::trace::TraceContext;

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
    /// The caller's row and what the rules read from there, read once when first needed.
    pub row: OnceLock<CallerRow>,
    /// Set once it was seen that the caller may read the own row; only where nothing but this value and that row decide.
    pub sees_self: OnceLock<()>,
}

/// What rules read of the caller's row: a value for each path of a catalogue's list.
#[derive(Clone, Debug)]
pub struct CallerRow {
    /// The list.
    pub paths: Arc<CallerPaths>,
    /// Values, in its order.
    pub values: Box<[Value]>,
}

impl CallerRow {
    /// What was read at a path; `None`: it was not asked for.
    pub fn value(&self, hops: &[ColumnId], column: ColumnId) -> Option<&Value> {
        self.values.get(self.paths.place(hops, column)?)
    }
}

impl Caller {
    /// Nobody in particular.
    pub fn anonymous() -> Caller {
        Caller {
            user: None,
            admin: false,
            permissions: Arc::default(),
            roles: Arc::default(),
            row: OnceLock::new(),
            sees_self: OnceLock::new(),
        }
    }

    /// One who passes every rule.
    pub fn administrator() -> Caller {
        Caller { admin: true, ..Caller::anonymous() }
    }
}
