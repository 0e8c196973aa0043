//! What the capability holds while it runs.

use std::sync::Arc;

use aws_lc_rs::hmac;
use mainstay_engine::sealed::{Sealer, derive_key};

use crate::access::Remembered;
use crate::breached::Breached;
use crate::desk::Lookups;
use crate::keys::Keys;
use crate::oidc::Oidc;
use crate::options::IdentityOptions;
use crate::password::Hasher;
use crate::provider::outbound::Outbound;
use crate::saml::Saml;

/// What values that go into mail are sealed for.
pub(crate) const MAIL_PURPOSE: &str = "mail";

/// The capability while it runs.
pub(crate) struct Identity {
    pub(crate) options: IdentityOptions,
    pub(crate) hasher: Hasher,
    pub(crate) keys: Keys,
    /// Passwords that are known to others.
    pub(crate) breached: Option<Breached>,
    pub(crate) remembered: Remembered,
    pub(crate) lookups: Arc<Lookups>,
    /// What mail carries and nobody else may read.
    pub(crate) mail_sealer: Arc<Sealer>,
    /// Keys of authenticators.
    pub(crate) totp_sealer: Sealer,
    /// What sign-ins by providers come back with.
    pub(crate) provider_sealer: Sealer,
    pub(crate) oidc: Oidc,
    /// Providers that speak SAML.
    pub(crate) saml: Saml,
    /// Challenges to passkeys.
    pub(crate) passkey_sealer: Sealer,
    /// Tells the successor of a refresh token.
    pub(crate) successor_key: hmac::Key,
    /// Hashes codes that were sent by mail.
    pub(crate) mail_code_key: hmac::Key,
    /// Ties a page's proof to its session.
    pub(crate) csrf_key: hmac::Key,
}

impl Identity {
    pub(crate) fn new(options: IdentityOptions) -> Result<Identity, String> {
        crate::provider::options::check(&options)?;
        let secret = options.secret.as_slice();
        let key = |purpose: &str| hmac::Key::new(hmac::HMAC_SHA256, &derive_key(secret, purpose));
        let outbound = Outbound::default();
        Ok(Identity {
            hasher: Hasher::start(&options.password)?,
            keys: Keys::new(secret),
            breached: options.password_list.as_deref().map(Breached::open).transpose()?,
            remembered: Remembered::new(),
            lookups: Arc::default(),
            mail_sealer: Arc::new(Sealer::new(secret, MAIL_PURPOSE)),
            totp_sealer: Sealer::new(secret, "totp"),
            provider_sealer: Sealer::new(secret, "providers"),
            oidc: Oidc::new(&options, outbound.clone()),
            saml: Saml::new(&options, outbound)?,
            passkey_sealer: Sealer::new(secret, "passkey"),
            successor_key: key("refresh tokens"),
            mail_code_key: key("mail codes"),
            csrf_key: key("csrf"),
            options,
        })
    }
}
