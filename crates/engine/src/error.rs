//! The one error of everything behind the wire.
//!
//! Closed and free of HTTP: a [`Key`] from one table says what kind of failure it is, the public words go to the
//! caller, the internal ones to the log alone. Whoever speaks a protocol converts it once.

use std::fmt;

use mainstay_store::StoreError;

use crate::factors::Factors;

macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $kind:ident, $title:literal;)+) => {
        /// What went wrong: stable on the wire, unique, documented here and nowhere else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Key { $($(#[doc = $doc])+ $name,)+ }

        impl Key {
            /// Every key, in the order of the table.
            pub const ALL: &'static [Key] = &[$(Key::$name,)+];

            /// The key on the wire.
            pub fn text(self) -> &'static str { match self { $(Key::$name => $text,)+ } }

            /// What kind of failure it is.
            pub fn kind(self) -> Kind { match self { $(Key::$name => Kind::$kind,)+ } }

            /// A short name for people, the same for every occurrence.
            pub fn title(self) -> &'static str { match self { $(Key::$name => $title,)+ } }

            /// When it happens and what to do, for the documents.
            pub fn docs(self) -> &'static str { match self { $(Key::$name => concat!($($doc, "\n",)+),)+ } }
        }
    };
}

/// Families of failures, which a protocol maps to its own statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request cannot be read (400).
    Malformed,
    /// Nobody is there, or somebody else than claimed (401).
    Unauthenticated,
    /// The caller may not (403).
    Forbidden,
    /// It is not there for this caller (404).
    NotFound,
    /// It is there, but not so (405).
    Method,
    /// It clashes with what is there (409).
    Conflict,
    /// It was there and is no longer kept (410).
    Gone,
    /// The version asked for is no longer there (412).
    Precondition,
    /// It is too large (413).
    TooLarge,
    /// It is of a kind that is not read (415).
    MediaType,
    /// It can be read, but holds values that cannot be (422).
    Invalid,
    /// Too many from this caller (429).
    TooMany,
    /// The server's fault (500).
    Internal,
    /// Not now (503).
    Unavailable,
}

keys! {
    /// The body is not JSON, or holds a duplicate member, or nests too deep to be read.
    Json = "json.malformed", Malformed, "Malformed JSON";
    /// A table, column, relation, keyword or parameter that does not exist; the nearest name is offered.
    NameUnknown = "name.unknown", Malformed, "Unknown name";
    /// The document says something that the query language does not allow.
    Query = "query.malformed", Malformed, "Malformed query";
    /// A `where` or aggregate expression that cannot be parsed or typed.
    Expression = "expression.malformed", Malformed, "Malformed expression";
    /// A cursor that was not made here, or under another order.
    Cursor = "cursor.invalid", Malformed, "Invalid cursor";
    /// A `set` or `delete` that nothing restricts and that does not say `all`.
    Unrestricted = "write.unrestricted", Malformed, "Write without a constraint";
    /// A header or parameter of the protocol that cannot be read.
    Request = "request.malformed", Malformed, "Malformed request";
    /// The credentials are missing, wrong or too old.
    Credentials = "auth.credentials", Unauthenticated, "Invalid credentials";
    /// No account has this address and password, or it may not be signed in to.
    AuthLogin = "auth.login", Unauthenticated, "Not signed in";
    /// The first factor was right and a second one is asked for: show one of `factors` with the `ticket` of this answer.
    AuthSecondFactor = "auth.second_factor_required", Unauthenticated, "A second factor is needed";
    /// The password was right and is older than the app lets one be: choose another with the `ticket` of this answer.
    AuthPasswordExpired = "auth.password_expired", Unauthenticated, "Password too old";
    /// The code is not right, was used, or is too old.
    AuthCode = "auth.code", Unauthenticated, "Wrong code";
    /// The passkey is not one of this app's, or what it has signed is not what was asked for: begin again.
    AuthPasskey = "auth.passkey", Unauthenticated, "Passkey refused";
    /// The session has ended, or the token was never one of ours: sign in.
    AuthSession = "auth.session", Unauthenticated, "Session ended";
    /// A refresh token was used a second time: somebody else may have it, so the session was ended.
    AuthReused = "auth.refresh_reused", Unauthenticated, "Refresh token used again";
    /// The link or token was used, is too old, or was never one of ours: ask for a new one.
    AuthToken = "auth.token", Invalid, "Link not valid";
    /// Credentials came by a cookie and a page has to prove that it is one of ours: the header `X-CSRF-Token` with the value of the
    /// cookie `csrf`, over TLS `__Host-csrf`.
    AuthCsrf = "auth.csrf", Forbidden, "Not from a page of ours";
    /// This asks for somebody who has shown who they are a short while ago: show one of `factors` once more, and ask again.
    AuthRecent = "auth.recent_required", Forbidden, "Sign in once more";
    /// It is the last way by which somebody can sign in, and stays until there is another one.
    AuthLastWay = "auth.last_way", Conflict, "Last way to sign in";
    /// The address was not verified yet, and the app asks for that.
    AuthUnverified = "auth.unverified", Forbidden, "Address not verified";
    /// A provider does not vouch for somebody here: the sign-in was not started in this browser, has taken too long, or what the
    /// provider has said cannot be relied on.
    AuthProvider = "auth.provider", Unauthenticated, "Not signed in by the provider";
    /// A provider cannot be reached, or does not answer as one should. Try again later.
    AuthProviderAway = "auth.provider_unavailable", Unavailable, "Provider not reached";
    /// An account has the address that the provider tells. Whoever owns it signs in to it, and links the provider there.
    AuthLinkRequired = "auth.link_required", Conflict, "Sign in and link";
    /// Another account is linked with this one of the provider's.
    AuthLinked = "auth.linked_elsewhere", Conflict, "Linked with another account";
    /// Too many attempts failed for this account or from this address.
    AuthThrottled = "auth.throttled", TooMany, "Too many attempts";
    /// No rule allows this to this caller.
    Forbidden = "rule.refused", Forbidden, "Not allowed";
    /// The request is for a tenant that the caller does not belong to.
    TenantRefused = "tenant.refused", Forbidden, "Not of this tenant";
    /// A relation to a row that does not exist for this caller.
    RelationRefused = "relation.refused", Forbidden, "Relation refused";
    /// Ordering or grouping by a column that this caller may not read in every row.
    ColumnGuarded = "column.guarded", Forbidden, "Guarded column";
    /// There is no such row for this caller.
    NotFound = "row.not_found", NotFound, "Not found";
    /// There is no such path.
    RouteUnknown = "route.unknown", NotFound, "No such path";
    /// The path does not know this method.
    MethodUnknown = "route.method", Method, "Method not allowed";
    /// Another row has this value already.
    Unique = "unique", Conflict, "Value already taken";
    /// The row was changed since it was read (`if_updated`).
    Version = "version.conflict", Conflict, "Changed in the meantime";
    /// Warnings that the caller has not accepted yet.
    Warnings = "warnings.unaccepted", Conflict, "Warnings to accept";
    /// The key was used for another request.
    IdempotencyMismatch = "idempotency.mismatch", Conflict, "Idempotency key used for another request";
    /// The request was carried out under this key. Its answer is not kept any more, because it may have held values that nobody is
    /// shown since.
    IdempotencyForgotten = "idempotency.forgotten", Conflict, "Answer not kept any more";
    /// Other rows still point to it.
    DeleteRestricted = "delete.restricted", Conflict, "Still referred to";
    /// `If-Match` names a version that is no longer there.
    IfMatch = "version.precondition", Precondition, "Changed in the meantime";
    /// The body is larger than the limit.
    BodyTooLarge = "body.too_large", TooLarge, "Body too large";
    /// The body's media type is not read here.
    MediaType = "body.media_type", MediaType, "Unsupported media type";
    /// A value that its column cannot hold; the errors name each one.
    Invalid = "value.invalid", Invalid, "Invalid values";
    /// A declared check fails.
    Check = "check.failed", Invalid, "Check failed";
    /// A limit on depth, parts, rows or bytes is passed.
    Limit = "limit.exceeded", Invalid, "Limit exceeded";
    /// The database was made by others and keeps no change log, which subscriptions, histories and `Idempotency-Key` need:
    /// `mainstay triggers on` makes one.
    LogOff = "log.off", Invalid, "No change log";
    /// A value in the database is none of the type that the app says its column has. Nothing is guessed; mend the value, or the
    /// type in the app.
    Misfit = "value.misfit", Internal, "A stored value does not fit";
    /// A nested part that should find exactly one row finds none or several.
    NotOne = "part.not_one", Invalid, "Not exactly one row";
    /// An expression overflows for some row, or a pattern of `like` is too long to be looked for.
    Arithmetic = "expression.overflow", Invalid, "Arithmetic overflow";
    /// A subscription asks for something that has no meaning row by row: an order, a page, a count, a to-many relation.
    LiveUnsupported = "live.unsupported", Invalid, "Not in a subscription";
    /// A plugin refuses the request; the errors say why, under a key of the plugin's own.
    HookRefused = "hook.refused", Invalid, "Refused by a plugin";
    /// More rows than a subscription may hold.
    LiveTooLarge = "live.too_large", Invalid, "Subscription too large";
    /// A rule or filter uses the time in a way whose next change cannot be foretold: compare `now()` or `today()` with one column,
    /// or with one column and a constant.
    LiveTime = "live.time", Invalid, "Time in a subscription";
    /// More subscriptions than a connection or a user may have.
    LiveTooMany = "live.too_many", TooMany, "Too many subscriptions";
    /// A `since` that was not given out here.
    LiveSince = "live.since", Malformed, "Unknown place";
    /// The changes since that place are no longer kept, or it is a place of the database before a restore or a move: subscribe
    /// without `since`.
    LiveGone = "live.gone", Gone, "No longer kept";
    /// Too many requests in a short time.
    RateLimit = "rate.limited", TooMany, "Too many requests";
    /// The request took longer than its deadline; nothing was changed.
    Deadline = "deadline.exceeded", Unavailable, "Out of time";
    /// The server has more work than it takes on; nothing was changed.
    Overloaded = "server.overloaded", Unavailable, "Overloaded";
    /// The database cannot be reached.
    Database = "database.unavailable", Unavailable, "Database unavailable";
    /// The database went away while the change was being committed: it may have been kept or not. Look before asking again, or
    /// ask again with the same `Idempotency-Key`, which does it once.
    OutcomeUnknown = "database.outcome_unknown", Unavailable, "Outcome unknown";
    /// A plugin failed; the server's log has more under the request's id. Nothing was changed.
    HookFailed = "hook.failed", Internal, "A plugin failed";
    /// Hooks of plugins call each other without end; the words name them. Nothing was changed.
    HookLoop = "hook.loop", Internal, "Plugins call each other";
    /// A plugin did not come to an end in its time. Nothing was changed.
    HookTimeout = "hook.timeout", Unavailable, "A plugin took too long";
    /// A fault of the server; its log has more under the request's id.
    Internal = "internal", Internal, "Internal error";
}

/// A failure with its public and its internal words.
#[derive(Clone, Debug)]
pub struct Error {
    /// What went wrong.
    pub key: Key,
    /// For the caller: one or two sentences. Empty: the title says it all.
    pub detail: String,
    /// The offending values.
    pub errors: Vec<FieldError>,
    /// The warnings to accept, for [`Key::Warnings`].
    pub warnings: Vec<Warning>,
    /// Ask again after so many seconds, for [`Kind::Unavailable`] and [`Kind::TooMany`].
    pub retry_after_s: Option<u32>,
    /// With which the request is gone on with, for [`Key::AuthSecondFactor`].
    pub ticket: Option<Box<Ticket>>,
    /// What would do, for [`Key::AuthSecondFactor`] and [`Key::AuthRecent`].
    pub factors: Factors,
    /// For the log alone.
    pub internal: Option<String>,
}

/// With what a request is gone on with that was refused for now; never shown in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket(pub String);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

/// One offending value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// JSON pointer into the request.
    pub path: String,
    /// Stable: `min`, `max`, `length`, `match`, `type`, `required`, `unique`, `enum`, `name`, …
    pub key: String,
    /// What was expected.
    pub message: String,
}

/// One warning of a `warn` line.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// Hash of the warning, its place and the values read.
    pub id: String,
    /// As declared.
    pub message: String,
    /// JSON pointer into the request.
    pub path: String,
}

impl Error {
    /// A failure with words for the caller.
    pub fn new(key: Key, detail: impl Into<String>) -> Error {
        Error {
            key,
            detail: detail.into(),
            errors: Vec::new(),
            warnings: Vec::new(),
            retry_after_s: None,
            ticket: None,
            factors: Factors::NONE,
            internal: None,
        }
    }

    /// A failure at one place of the request.
    pub fn at(key: Key, path: impl Into<String>, field_key: &str, message: impl Into<String>) -> Error {
        let message = message.into();
        let mut error = Error::new(key, message.clone());
        error.errors.push(FieldError { path: path.into(), key: field_key.to_owned(), message });
        error
    }

    /// A fault of the server: the words are for the log.
    pub fn internal(words: impl fmt::Display) -> Error {
        let mut error = Error::new(Key::Internal, "");
        error.internal = Some(words.to_string());
        error
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = if self.detail.is_empty() { self.key.title() } else { &self.detail };
        write!(f, "{}: {words}", self.key.text())?;
        self.internal.as_ref().map_or(Ok(()), |internal| write!(f, " ({internal})"))
    }
}

impl std::error::Error for Error {}

/// What the database refused, in words for the caller; those that know the place of the request say more.
impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        let words = error.to_string();
        let unavailable = |key: Key, retry_after_s| {
            let mut error = Error::new(key, "");
            error.retry_after_s = Some(retry_after_s);
            error.internal = Some(words.clone());
            error
        };
        match error {
            StoreError::Unique { .. } => Error::new(Key::Unique, "another row has the same value already"),
            StoreError::ForeignKey => Error::new(Key::DeleteRestricted, "other rows refer to it"),
            StoreError::Arithmetic(_) => Error::new(Key::Arithmetic, words),
            StoreError::RowLimit { limit } => {
                Error::new(Key::Limit, format!("the answer would have more than {limit} rows: ask for less"))
            }
            StoreError::ByteLimit { limit } => {
                Error::new(Key::Limit, format!("the answer would be larger than {limit} bytes: ask for less"))
            }
            StoreError::Deadline => unavailable(Key::Deadline, 1),
            StoreError::Busy { .. } => unavailable(Key::Overloaded, 1),
            StoreError::OutcomeUnknown { .. } => unavailable(Key::OutcomeUnknown, 5),
            StoreError::Unavailable { .. }
            | StoreError::Lost { .. }
            | StoreError::Closed
            | StoreError::Full { .. }
            | StoreError::ReadOnly { .. } => unavailable(Key::Database, 5),
            StoreError::PutOff { error, .. } => Error::from(*error),
            StoreError::NotNull { column, .. } => {
                let words = format!("the database wants a value for its column {column}");
                Error::new(Key::Invalid, words)
            }
            StoreError::Check { constraint } => {
                Error::new(Key::Check, format!("the database refuses it: {constraint}"))
            }
            StoreError::Misfit { detail } => {
                let mut error = Error::new(Key::Misfit, detail);
                error.internal = Some(words);
                error
            }
            StoreError::Io { .. }
            | StoreError::Locked { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Other(_) => Error::internal(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Key;

    #[test]
    fn keys_are_unique() {
        let mut seen = HashSet::new();
        for key in Key::ALL {
            assert!(seen.insert(key.text()), "{} stands twice", key.text());
        }
    }
}
