//! Identity over HTTP, on every database: people who come, stay, lose things and are kept out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

mod accounts;
mod authenticator;
mod authorisation;
mod away;
mod crash;
mod dump;
mod harness;
mod hostile;
mod keys;
mod linked;
mod live;
mod mail_codes;
mod merging;
mod metrics;
mod notices;
mod oidc;
mod openapi;
mod pages;
mod passkeys;
mod passwords;
mod policy;
mod recent;
mod roles;
mod saml;
mod second;
mod sessions;
mod tenants;
mod visitor;
