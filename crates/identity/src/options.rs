//! How identities are kept: what an app may choose.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::provider::options::OidcOptions;
use crate::saml::options::SamlOptions;

/// How identities are kept.
#[derive(Clone, Debug)]
pub struct IdentityOptions {
    /// What signatures, encryption and successors of tokens are derived from.
    pub secret: Vec<u8>,
    /// Where people reach the app: links in mail begin so. Without a slash at its end.
    pub url: String,
    /// Whether cookies are sent over TLS alone.
    pub secure_cookies: bool,
    /// Whether anybody may register.
    pub registration: bool,
    /// Whether somebody may come without saying who they are.
    pub anonymous: bool,
    /// Whether an address has to be verified before its owner signs in with a password.
    pub verified_only: bool,
    /// How long an access token is good for.
    pub access_ttl: Duration,
    /// How long a session lasts without being used.
    pub idle_max: Duration,
    /// How long a session lasts at most.
    pub session_max: Duration,
    /// Sessions that somebody has at a time; the one that was not used for longest is ended. 0: any number.
    pub sessions_per_user: usize,
    /// How long a credential that was shown is good for what is delicate.
    pub recent: Duration,
    /// Whether somebody is told by mail of a sign-in on a device that is new to their account.
    pub mail_new_device: bool,
    /// Whether a link in mail signs in.
    pub magic: bool,
    /// How long ago at most whoever uses a permission of this capability's (`identity/…`) has shown a second factor; zero: it is not
    /// asked for.
    pub admin_second_factor: Duration,
    /// Whether whoever has no second factor is sent a code by mail after a password.
    pub mail_code: bool,
    /// The path of a style sheet that the pages have beside their own.
    pub style: Option<String>,
    /// A sorted file of passwords that nobody may take, plain or as SHA-1.
    pub password_list: Option<PathBuf>,
    /// Passwords.
    pub password: PasswordOptions,
    /// OpenID providers, by their names.
    pub oidc: BTreeMap<String, OidcOptions>,
    /// Providers that speak SAML, by their names.
    pub saml: BTreeMap<String, SamlOptions>,
}

/// How passwords are kept.
#[derive(Clone, Copy, Debug)]
pub struct PasswordOptions {
    /// Characters that one has at least.
    pub length_min: usize,
    /// Days that one is good for; 0: for ever.
    pub days_max: u32,
    /// How many of the last ones, the present one included, are not taken again; 0: any is.
    pub remembered: usize,
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Hashes made at a time; 0: half as many as there are processors.
    pub threads: usize,
    /// Hashes that wait at a time; more are refused.
    pub waiting_max: usize,
}

impl Default for PasswordOptions {
    fn default() -> PasswordOptions {
        // OWASP's first choice for Argon2id.
        PasswordOptions {
            length_min: 12,
            days_max: 0,
            remembered: 0,
            memory_kib: 19 << 10,
            passes: 2,
            threads: 0,
            waiting_max: 256,
        }
    }
}

impl IdentityOptions {
    /// The defaults, for a secret of at least 32 random bytes and where the app is reached.
    pub fn new(secret: impl Into<Vec<u8>>, url: impl Into<String>) -> IdentityOptions {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let url: String = url.into();
        IdentityOptions {
            secret: secret.into(),
            secure_cookies: url.starts_with("https://"),
            url: url.trim_end_matches('/').to_owned(),
            registration: true,
            anonymous: false,
            verified_only: true,
            access_ttl: Duration::from_secs(15 * 60),
            idle_max: 30 * DAY,
            session_max: 365 * DAY,
            sessions_per_user: 50,
            recent: Duration::from_secs(10 * 60),
            mail_new_device: true,
            magic: true,
            admin_second_factor: Duration::ZERO,
            mail_code: false,
            style: None,
            password_list: None,
            password: PasswordOptions::default(),
            oidc: BTreeMap::new(),
            saml: BTreeMap::new(),
        }
    }
}
