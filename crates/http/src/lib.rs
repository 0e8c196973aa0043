#![doc = include_str!("../README.md")]

mod app;
mod authenticate;
mod body;
mod call;
mod client;
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

pub use authenticate::{Answer, Authenticate, Identified, Presented, SetupAuthenticate};
pub use client::{Network, NetworkError};
pub use credentials::TENANT;
pub use mount::{OpenCtx, Refusal, RequestCtx, RouteTable, SetupHttp};
pub use openapi::{RouteDocs, document as openapi_document};
pub use options::{Limits, Options};
pub use router::{Access, Endpoint, ROUTES, Route};
pub use server::{BindError, Server, service};
pub use token::{Subject, TokenSecret, TokenSecretError, issue_token};
