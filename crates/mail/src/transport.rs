//! The way out: a server that speaks SMTP, or none.
//!
//! A connection is kept for the next mail. What a server says decides what becomes of a mail: 4xx and whatever is wrong with the
//! connection may be better another time, 5xx never.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls as LettreTls, TlsParameters};
use lettre::transport::smtp::{self, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

/// Where mail goes.
#[derive(Clone, Debug)]
pub enum Way {
    /// Nowhere: it is kept for the inbox page.
    Capture,
    /// To a server.
    Smtp(Box<Smtp>),
}

/// How a connection is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: for a server on the same machine.
    None,
    /// From within, before anything is said; refused when the server cannot.
    StartTls,
    /// From the first byte.
    Wrapped,
}

/// A server, with a pool of connections to it.
#[derive(Clone)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    /// Who mail comes from.
    pub(crate) from: Mailbox,
    timeout: Duration,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Smtp({})", self.from)
    }
}

/// How a mail could not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmtpError {
    /// It may go better another time.
    #[error("{0}")]
    Transient(String),
    /// It never will.
    #[error("{0}")]
    Permanent(String),
}

impl Smtp {
    /// A server by its name and port.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn new(
        (host, port): (&str, u16),
        tls: Tls,
        login: Option<(String, String)>,
        authority_pem: Option<&[u8]>,
        timeout: Duration,
        from: Mailbox,
    ) -> Result<Smtp, SmtpError> {
        let wrong = |error: smtp::Error| SmtpError::Permanent(error.to_string());
        let mut parameters = TlsParameters::builder(host.to_owned());
        if let Some(pem) = authority_pem {
            parameters = parameters.add_root_certificate(Certificate::from_pem(pem).map_err(wrong)?);
        }
        let tls = match tls {
            Tls::None => LettreTls::None,
            Tls::StartTls => LettreTls::Required(parameters.build().map_err(wrong)?),
            Tls::Wrapped => LettreTls::Wrapper(parameters.build().map_err(wrong)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(timeout))
            .pool_config(PoolConfig::new().max_size(8));
        if let Some((user, password)) = login {
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(Smtp { transport: builder.build(), from, timeout })
    }

    /// Hands a mail to the server.
    pub(crate) async fn send(&self, message: Message) -> Result<(), SmtpError> {
        // The transport's own limit is one of connecting; a server that takes a mail and says nothing is waited for as long.
        let Ok(sent) = tokio::time::timeout(self.timeout, self.transport.send(message)).await else {
            return Err(SmtpError::Transient(format!("the server did not answer within {:?}", self.timeout)));
        };
        sent.map(drop).map_err(|error| {
            let mut words = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                words = format!("{words}: {cause}");
                source = cause.source();
            }
            if error.is_permanent() { SmtpError::Permanent(words) } else { SmtpError::Transient(words) }
        })
    }
}
