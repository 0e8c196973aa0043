//! What a server is started with.
//!
//! Plain data: where the values come from (flags, environment, `mainstay.toml`) is the binary's business. The
//! defaults fit one machine of modest size; every limit exists so that memory stays bounded whatever clients do.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use mainstay_engine::Clock;

use crate::client::Network;
use crate::redirect::Redirect;
use crate::tls::Tls;
use crate::token::TokenSecret;

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Signs and verifies bearer tokens.
    pub token_secret: TokenSecret,
    /// The app's folder of static files, when it has one.
    pub public: Option<PathBuf>,
    /// Whether `?explain` is open to every caller rather than to administrators alone.
    pub development: bool,
    /// Origins that browsers may call from; `*` is every origin, none closes CORS.
    pub origins: Vec<String>,
    /// Proxies whose word on where a request comes from is believed.
    pub trusted_proxies: Vec<Network>,
    /// How connections are encrypted; none: not at all.
    pub tls: Option<Tls>,
    /// Where those who come without TLS are led to it.
    pub redirect: Option<Redirect>,
    /// Networks of which any number of connections may come; trusted proxies are others.
    pub free: Vec<Network>,
    /// Bounds on what clients can make the server hold.
    pub limits: Limits,
    /// How much subscribers may ask for.
    pub live: mainstay_live::Limits,
    /// What time it is for requests.
    pub clock: Clock,
}

impl Options {
    /// The defaults, for a secret that must be given.
    pub fn new(token_secret: TokenSecret) -> Options {
        Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 4040)),
            token_secret,
            public: None,
            development: false,
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            tls: None,
            redirect: None,
            free: Vec::new(),
            limits: Limits::default(),
            live: mainstay_live::Limits::default(),
            clock: Clock::default(),
        }
    }
}

/// Bounds on what clients can make the server hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections held at once; further ones wait in the system's backlog.
    pub connections_max: usize,
    /// Of them from one client; further ones are closed. 0: any number.
    pub connections_per_client_max: usize,
    /// Requests worked on at once; further ones are answered 503.
    pub requests_in_flight_max: usize,
    /// Bytes of one body; more is answered 413.
    pub body_bytes_max: usize,
    /// Bytes of all bodies held at once; more is answered 503.
    pub body_bytes_in_flight_max: usize,
    /// Bytes of a request's target and headers; more is answered 400.
    pub header_bytes_max: usize,
    /// How long a client may take over a request's headers, and a connection may stand idle.
    pub header_timeout: Duration,
    /// How long a client may take over a request's body.
    pub body_timeout: Duration,
    /// How long a client may take none of what is sent to it; then its connection is closed.
    pub send_timeout: Duration,
    /// How long a request may run once it has arrived.
    pub request_timeout: Duration,
    /// How long running requests are waited for after a stop.
    pub stop_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 16_384,
            connections_per_client_max: 1_024,
            requests_in_flight_max: 2_048,
            body_bytes_max: 8 << 20,
            body_bytes_in_flight_max: 128 << 20,
            header_bytes_max: 32 << 10,
            header_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(30),
        }
    }
}
