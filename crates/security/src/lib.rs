#![doc = include_str!("../README.md")]

mod acme;
mod audit;
mod desk;
mod headers;
mod limiter;
mod plugin;
mod rate;
mod share;
mod tls;

pub use acme::AcmeOptions;
pub use headers::HeaderOptions;
pub use plugin::{ReportsTaken, SECURITY_TABLES, SecurityOptions, SecurityPlugin};
pub use rate::{Rate, RateError, Routes, Who};
pub use tls::{PairError, ServerCertificate, TlsOptions};
