//! Identity over HTTP, on every database: people who come, stay, lose things and are kept out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

mod accounts;
mod authenticator;
mod authorisation;
mod dump;
mod harness;
mod keys;
mod mail_codes;
mod pages;
mod passkeys;
mod passwords;
mod policy;
mod recent;
mod roles;
mod second;
mod sessions;
mod tenants;
