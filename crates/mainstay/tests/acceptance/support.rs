//! Apps, the binary and its server, and a client that sends bytes as they are.

mod app;
pub(crate) mod collector;
mod http;
mod server;

pub(crate) use app::{App, Ran, until};
pub(crate) use http::{Answer, Request, encode};
pub(crate) use server::Server;
