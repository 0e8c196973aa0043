//! PostgreSQL's errors as the store's, and what is to be done about them.
//!
//! Codes and fields are stable; words are not, as they follow the server's language. The one thing that stands in words
//! alone is which columns a unique index has: `Key (name, lower(role))=(…) already exists.` in the detail, whose
//! parentheses every translation keeps.

use std::error::Error as _;

use mainstay_lang::ops::{OVERFLOW, OpError};
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::StoreError;
use crate::query::ReadLimits;

/// Why a statement failed, as far as it matters for what is done next.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The request's own: trying again would fail again.
    Refused(StoreError),
    /// Somebody cancelled it: a deadline, a watchdog, an administrator.
    Cancelled,
    /// It clashed with another transaction; run again from its beginning it may succeed.
    Clash(StoreError),
    /// What it was to change is another than was thought; run again from its beginning it begins with what is there.
    Changed(StoreError),
    /// The connection is gone; nothing of the transaction was kept unless its COMMIT had been sent.
    Gone(StoreError),
    /// A prepared statement does not fit the tables any more.
    Stale(StoreError),
    /// The connection stands in a transaction that has failed before: nothing can be said of the statement.
    Torn(StoreError),
}

impl Failure {
    /// As an answer, when nothing is to be done about it any more.
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Failure::Cancelled => StoreError::Deadline,
            Failure::Refused(error)
            | Failure::Clash(error)
            | Failure::Changed(error)
            | Failure::Gone(error)
            | Failure::Stale(error)
            | Failure::Torn(error) => error,
        }
    }
}

/// Raised by a statement that counts the rows nested in its rows, when there are more than it was told to allow.
const TOO_MANY_ROWS: &str = "MSROW";

impl Failure {
    /// With the limit that was passed, which the server does not tell.
    pub(super) fn under(self, limits: ReadLimits) -> Failure {
        match self {
            Failure::Refused(StoreError::RowLimit { .. }) => {
                Failure::Refused(StoreError::RowLimit { limit: limits.rows })
            }
            failure => failure,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Refused(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error.as_db_error() {
            Some(refusal) => of_server(refusal),
            // What was wrong with a value is told by the source; the wrapper knows only its number.
            None if is_of_connection(&error) => {
                Failure::Gone(StoreError::Lost { detail: with_source(&error) })
            }
            None => Failure::Refused(StoreError::Other(with_source(&error))),
        }
    }
}

/// Whether the connection failed, rather than a value on its way through it.
fn is_of_connection(error: &Error) -> bool {
    error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>())
}

/// An error with what it rests on, which it does not tell by itself.
pub(super) fn with_source(error: &Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Whether the server says that it ends the connection, rather than that a statement failed.
///
/// PostgreSQL always says in English, too, how severe an error is. `PgBouncer` does not, and says of its own connections to the server
/// that they are gone: whether a commit arrived before that, it does not know either.
pub(super) fn is_fatal(error: &DbError) -> bool {
    match error.parsed_severity() {
        Some(severity) => matches!(severity, Severity::Fatal | Severity::Panic),
        None => error.severity() == "FATAL" || error.code().code().starts_with(CONNECTION_CLASS),
    }
}

/// The class of codes about connections.
const CONNECTION_CLASS: &str = "08";

fn of_server(error: &DbError) -> Failure {
    let words = words(error);
    if is_fatal(error) {
        return Failure::Gone(match *error.code() {
            SqlState::TOO_MANY_CONNECTIONS => too_many_connections(),
            _ => StoreError::Lost { detail: words },
        });
    }
    let refused = match *error.code() {
        SqlState::QUERY_CANCELED => return Failure::Cancelled,
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => {
            return Failure::Clash(StoreError::Busy { reason: "other writes keep getting in the way" });
        }
        SqlState::LOCK_NOT_AVAILABLE => {
            return Failure::Clash(StoreError::Busy { reason: "another transaction keeps a row locked" });
        }
        SqlState::FEATURE_NOT_SUPPORTED if error.routine() == Some("RevalidateCachedQuery") => {
            return Failure::Stale(StoreError::Other(words));
        }
        SqlState::IN_FAILED_SQL_TRANSACTION => return Failure::Torn(StoreError::Other(words)),
        // A pooler may hand out a server that has not seen the statement.
        SqlState::INVALID_SQL_STATEMENT_NAME => return Failure::Stale(StoreError::Other(words)),
        SqlState::UNIQUE_VIOLATION | SqlState::EXCLUSION_VIOLATION => StoreError::Unique {
            table: error.table().unwrap_or_default().to_owned(),
            columns: key_columns(error.detail().unwrap_or_default()),
        },
        SqlState::FOREIGN_KEY_VIOLATION | SqlState::RESTRICT_VIOLATION => StoreError::ForeignKey,
        SqlState::NOT_NULL_VIOLATION => StoreError::NotNull {
            table: error.table().unwrap_or_default().to_owned(),
            column: error.column().unwrap_or_default().to_owned(),
        },
        // What a cast says that was made to fail when a value is none of its column's type.
        SqlState::INVALID_TEXT_REPRESENTATION if misfit(error.message()).is_some() => {
            StoreError::Misfit { detail: misfit(error.message()).unwrap_or_default() }
        }
        SqlState::RAISE_EXCEPTION | SqlState::STRING_DATA_RIGHT_TRUNCATION | SqlState::GENERATED_ALWAYS => {
            StoreError::Check { constraint: error.message().to_owned() }
        }
        SqlState::CHECK_VIOLATION => {
            StoreError::Check { constraint: error.constraint().unwrap_or_default().to_owned() }
        }
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE
        | SqlState::DIVISION_BY_ZERO
        | SqlState::DATETIME_FIELD_OVERFLOW
        | SqlState::INTERVAL_FIELD_OVERFLOW => StoreError::Arithmetic(arithmetic(error.message())),
        SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::ReadOnly { detail: words },
        SqlState::DISK_FULL => StoreError::Full { detail: words },
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => StoreError::Corrupt { detail: words },
        SqlState::IO_ERROR => StoreError::Io { detail: words },
        ref code if code.code() == TOO_MANY_ROWS => StoreError::RowLimit { limit: 0 },
        _ => StoreError::Other(words),
    };
    Failure::Refused(refused)
}

pub(super) fn too_many_connections() -> StoreError {
    StoreError::Busy { reason: "the database takes no more connections" }
}

/// `invalid input syntax for type bigint: "the column length holds …"`
fn misfit(message: &str) -> Option<String> {
    let (_, rest) = message.split_once('"')?;
    rest.strip_suffix('"').filter(|words| words.starts_with("the column ")).map(str::to_owned)
}

fn words(error: &DbError) -> String {
    format!("{} ({})", error.message(), error.code().code())
}

/// The columns in `Key (a, "B", lower(c))=(…)`, without the expressions.
fn key_columns(detail: &str) -> Vec<String> {
    let Some((_, rest)) = detail.split_once('(') else { return Vec::new() };
    let mut columns = Vec::new();
    let (mut item, mut depth, mut quoted) = (String::new(), 0, false);
    for char in rest.chars() {
        match char {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth > 0 => depth -= 1,
            ',' | ')' if !quoted && depth == 0 => {
                columns.extend(plain_name(item.trim()));
                item.clear();
                if char == ')' {
                    break;
                }
                continue;
            }
            _ => {}
        }
        item.push(char);
    }
    columns
}

/// A name without its quotes; `None`: it is an expression.
fn plain_name(item: &str) -> Option<String> {
    if let Some(quoted) = item.strip_prefix('"').and_then(|item| item.strip_suffix('"')) {
        let name = quoted.replace("\"\"", "\u{0}");
        return (!name.contains('"')).then(|| name.replace('\u{0}', "\""));
    }
    let plain = |char: char| char.is_alphanumeric() || char == '_' || char == '$';
    (!item.is_empty() && item.chars().all(plain)).then(|| item.to_owned())
}

/// Words of the functions that come with the tables are the language's; the database's own get its beginning.
fn arithmetic(message: &str) -> String {
    let is_ours = message.starts_with(OVERFLOW) || message == OpError::PatternTooLong.to_string();
    if is_ours { message.to_owned() } else { format!("{OVERFLOW}: {message}") }
}

#[cfg(test)]
mod tests {
    use super::key_columns;

    #[test]
    fn columns_of_a_key_are_read_from_its_detail() {
        let cases: [(&str, &[&str]); 8] = [
            ("Key (name)=(Bar) already exists.", &["name"]),
            ("Key (name, size)=(B)(=(, 2) already exists.", &["name", "size"]),
            ("Schlüssel »(\"Name\", \"x, \"\"y\"\")\")=(1, 2)« existiert bereits.", &["Name", "x, \"y\")"]),
            ("Key (boss, lower(name))=(1, log) already exists.", &["boss"]),
            ("Key (((data ->> 'a'::text)), b)=(1, 2) already exists.", &["b"]),
            ("Key (lower(name))=(x) already exists.", &[]),
            ("Key (größe)=(x) already exists.", &["größe"]),
            ("", &[]),
        ];
        for (detail, expect) in cases {
            assert_eq!(key_columns(detail), expect, "{detail}");
        }
    }
}
