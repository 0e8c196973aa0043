#![doc = include_str!("../README.md")]

mod access;
mod attempts;
mod breached;
mod cookies;
mod desk;
mod factor;
mod fields;
mod identity;
mod keys;
mod letters;
mod mail_code;
mod once;
mod options;
mod passkey;
mod password;
mod plugin;
mod policy;
mod routes;
mod rules;
mod session;
mod token;
mod verify;

pub use options::{IdentityOptions, PasswordOptions};
pub use plugin::{IDENTITY_TABLES, IdentityPlugin};
pub use routes::identity_routes;
pub use verify::address_verify;
