//! What the tests on SQLite are supported by.

#[path = "../acceptance/support/app.rs"]
#[expect(dead_code, reason = "the tests on SQLite use what these do not")]
mod app;
#[path = "../acceptance/support/http.rs"]
mod http;
#[path = "../acceptance/support/server.rs"]
#[expect(dead_code, reason = "the tests on SQLite use what these do not")]
mod server;

pub(crate) use app::{App, Ran, until};
pub(crate) use http::{Answer, Request, encode};
pub(crate) use server::Server;
