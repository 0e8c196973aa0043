//! TLS on connections: which certificate is shown is asked for with each of them, so that a new one is in use at once and nobody is
//! cut off by it.
//!
//! Where certificates come from is for others to know. HTTP/2 is spoken with whoever offers it, HTTP/1.1 with the others, sockets among
//! them. A connection whose client is an authority that looks whether a name is ours (RFC 8737) ends with its handshake.

use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;

use crate::patience::Patient;

/// The protocols of HTTP as connections agree on them, the better one first.
pub const HTTP_PROTOCOLS: [&[u8]; 2] = [HTTP_2, b"http/1.1"];
const HTTP_2: &[u8] = b"h2";

/// The protocol by which an authority looks whether a name is ours.
pub const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";

/// What a client says when it begins to speak TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name that it looks for.
    pub name: Option<String>,
    /// Whether it is an authority that looks whether the name is ours.
    pub is_challenge: bool,
}

/// Tells how connections are encrypted.
pub trait Certificates: Send + Sync + 'static {
    /// How one is, with which certificate; none: not at all, and the connection ends.
    fn choose(&self, hello: Hello) -> BoxFuture<'_, Option<Arc<ServerConfig>>>;
}

/// Whoever tells how connections are encrypted.
#[derive(Clone)]
pub struct Tls(pub Arc<dyn Certificates>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// A connection that was agreed on.
pub(crate) struct Agreed {
    pub(crate) stream: Box<TlsStream<Patient<TcpStream>>>,
    pub(crate) is_http2: bool,
}

impl Tls {
    /// Agrees with a client on how the connection is encrypted; `None`: there is nothing more to be said on it.
    pub(crate) async fn accept(&self, stream: Patient<TcpStream>) -> io::Result<Option<Agreed>> {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let hello = begun.client_hello();
        let hello = Hello {
            name: hello.server_name().map(str::to_ascii_lowercase),
            is_challenge: hello.alpn().into_iter().flatten().any(|protocol| protocol == CHALLENGE_PROTOCOL),
        };
        let is_challenge = hello.is_challenge;
        let Some(config) = self.0.choose(hello).await else {
            return Err(io::Error::other("there is no certificate to show"));
        };
        let stream = begun.into_stream(config).await?;
        if is_challenge {
            return Ok(None);
        }
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
        Ok(Some(Agreed { stream: Box::new(stream), is_http2 }))
    }
}
