#![doc = include_str!("../README.md")]

mod app;
mod body;
mod call;
mod compress;
mod credentials;
mod docs;
mod files;
mod health;
mod limits;
mod live;
mod metrics;
mod mount;
mod observe;
mod openapi;
mod options;
mod parameters;
mod problem;
mod query;
mod rest;
mod router;
mod server;
mod token;

pub use mount::{OpenCtx, Refusal, RequestCtx, SetupHttp};
pub use openapi::document as openapi_document;
pub use options::{Limits, Options};
pub use router::{Access, Endpoint, ROUTES, Route};
pub use server::{BindError, Server, service};
pub use token::{Subject, TokenSecret, TokenSecretError, issue_token};
