//! `postgres://…`: where a PostgreSQL database is and how its server is to be trusted.
//!
//! The words are libpq's (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>). A password in a
//! URL is kept and never shown.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::options::DatabaseUrlError;

/// A PostgreSQL database.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    pub(crate) config: Config,
    pub(crate) trust: Trust,
    pub(crate) roots: Roots,
}

/// How sure one wants to be of the server at the other end: libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// `disable`, `prefer`, `require`: whether the line is encrypted; whoever answers is believed.
    Anybody,
    /// `verify-ca`: its certificate is signed by one of the roots.
    Signed,
    /// `verify-full`: and made out to the name that was connected to.
    Named,
}

/// Who signs the certificates of servers: libpq's `sslrootcert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Those of the operating system.
    System,
    /// Those in a PEM file.
    File(PathBuf),
}

impl FromStr for PostgresUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<PostgresUrl, DatabaseUrlError> {
        let wrong = |detail: &str| DatabaseUrlError::Postgres { detail: detail.to_owned() };
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let mut mode = "prefer";
        let mut roots = Roots::System;
        let mut others = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = value,
                Some(("sslrootcert", "system")) => roots = Roots::System,
                Some(("sslrootcert", path)) => roots = Roots::File(decode(path)?),
                _ => others.push(pair),
            }
        }
        let (ssl, trust) = match mode {
            "disable" => (SslMode::Disable, Trust::Anybody),
            "prefer" => (SslMode::Prefer, Trust::Anybody),
            // As libpq has it: who names the roots wants them used.
            "require" if matches!(roots, Roots::File(_)) => (SslMode::Require, Trust::Signed),
            "require" => (SslMode::Require, Trust::Anybody),
            "verify-ca" => (SslMode::Require, Trust::Signed),
            "verify-full" => (SslMode::Require, Trust::Named),
            _ => return Err(wrong("sslmode is disable, prefer, require, verify-ca or verify-full")),
        };
        let plain = if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
        // The words of the error name a parameter, never a value.
        let mut config: Config = plain.parse().map_err(|error: tokio_postgres::Error| {
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            wrong(&source)
        })?;
        config.ssl_mode(ssl);
        if config.get_hosts().is_empty() {
            return Err(wrong("the host is missing"));
        }
        if config.get_user().is_none() {
            return Err(wrong("the user is missing"));
        }
        if config.get_dbname().is_none() {
            return Err(wrong("the name of the database is missing"));
        }
        Ok(PostgresUrl { config, trust, roots })
    }
}

/// A path without its percent signs.
fn decode(text: &str) -> Result<PathBuf, DatabaseUrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        bytes.push(match byte {
            b'%' => digit().zip(digit()).map(|(high, low)| (high * 16 + low) as u8).ok_or_else(|| {
                DatabaseUrlError::Postgres { detail: "sslrootcert ends inside an escape".to_owned() }
            })?,
            byte => byte,
        });
    }
    let path = String::from_utf8(bytes);
    path.map(PathBuf::from)
        .map_err(|_| DatabaseUrlError::Postgres { detail: "sslrootcert is not UTF-8".to_owned() })
}

/// Without the password and without parameters.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@", self.config.get_user().unwrap_or_default())?;
        for (index, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let ports = self.config.get_ports();
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) if name.contains(':') => write!(f, "{comma}[{name}]:{port}")?,
                Host::Tcp(name) => write!(f, "{comma}{name}:{port}")?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{comma}{}:{port}", path.display())?,
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?}, {:?}, {:?})", self.config.get_ssl_mode(), self.trust, self.roots)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{PostgresUrl, Roots, Trust};

    fn check(text: &str, expect: &str) {
        let read = text.parse::<PostgresUrl>();
        assert_eq!(read.map_or_else(|error| error.to_string(), |url| url.to_string()), expect, "{text}");
    }

    #[test]
    fn urls_are_read_and_shown_without_their_password() {
        check(
            "postgres://ann:se%40cret@db.example:6432/app?sslmode=require",
            "postgres://ann@db.example:6432/app",
        );
        check("postgresql://ann@127.0.0.1/app?connect_timeout=3", "postgres://ann@127.0.0.1:5432/app");
        check("postgres://ann@one:1,two:2/app", "postgres://ann@one:1,two:2/app");
        check("postgres://ann@%2Frun%2Fpostgresql/app", "postgres://ann@/run/postgresql:5432/app");
        let shown = format!("{:?}", "postgres://ann:secret@h/app".parse::<PostgresUrl>());
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        let wrong = |detail: &str| {
            format!("{detail}: expected postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full")
        };
        check(
            "postgres://ann:secret@h/app?sslmode=maybe",
            &wrong("sslmode is disable, prefer, require, verify-ca or verify-full"),
        );
        check("postgres://ann:secret@h", &wrong("the name of the database is missing"));
        check("postgres://h/app", &wrong("the user is missing"));
        check("postgres:///app", &wrong("the host is missing"));
        check("postgres://ann:secret@h/app?color=red", &wrong("unknown option `color`"));
    }

    #[test]
    fn trust_follows_sslmode_and_roots() {
        let trust = |query: &str| {
            let url: PostgresUrl = format!("postgres://ann@h/app?{query}").parse().unwrap();
            (url.trust, url.roots)
        };
        let file = || Roots::File(PathBuf::from("/my roots.pem"));
        assert_eq!(trust(""), (Trust::Anybody, Roots::System));
        assert_eq!(trust("sslmode=require"), (Trust::Anybody, Roots::System));
        assert_eq!(trust("sslmode=require&sslrootcert=/my%20roots.pem"), (Trust::Signed, file()));
        assert_eq!(trust("sslrootcert=/my%20roots.pem&sslmode=verify-full"), (Trust::Named, file()));
        assert_eq!(trust("sslmode=verify-ca&sslrootcert=system"), (Trust::Signed, Roots::System));
    }
}
