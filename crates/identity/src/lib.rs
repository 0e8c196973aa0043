#![doc = include_str!("../README.md")]

mod access;
mod attempts;
mod breached;
mod cookies;
mod desk;
mod factor;
mod fields;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod identity;
mod keys;
mod letters;
mod mail_code;
mod merge;
mod meters;
mod notice;
mod oidc;
mod once;
mod options;
mod passkey;
mod password;
mod plugin;
mod policy;
mod provider;
mod routes;
mod rules;
mod saml;
mod session;
mod token;
mod verify;
mod ways;

pub use options::{IdentityOptions, PasswordOptions};
pub use plugin::{IDENTITY_TABLES, IdentityPlugin};
pub use provider::options::{OidcOptions, ProviderOptions, is_provider_url};
pub use routes::identity_routes;
pub use saml::options::{SamlAnswer, SamlOptions, SamlRequest};
pub use verify::address_verify;
