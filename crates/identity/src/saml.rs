//! SAML 2.0 as a service provider: somebody is sent to an identity provider, and comes back with an assertion.
//!
//! What decides does no IO: [`response`] takes bytes, keys, names and a time, and gives a checked assertion or a reason. [`provider`] is
//! what knows settings, the database and the network, and calls it. Whose session becomes of it is decided elsewhere, for every kind
//! of provider alike.

mod artifact;
mod encryption;
#[cfg(any(test, feature = "fuzzing"))]
mod forge;
mod keys;
mod message;
mod metadata;
pub(crate) mod options;
mod provider;
mod refused;
mod response;
mod signature;
#[cfg(test)]
mod tests;
mod time;
mod xml;

#[cfg(feature = "fuzzing")]
pub(crate) use forge::fuzzed;
pub(crate) use message::{Asked, AuthnRequest};
pub(crate) use metadata::{ARTIFACT, POST, ServiceProvider};
pub(crate) use options::{SamlAnswer, SamlRequest};
pub(crate) use provider::{Answer, Believed, Request, Saml, SamlProvider};
pub(crate) use refused::Refused;
pub(crate) use xml::escape;
