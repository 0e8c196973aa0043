//! The wire, from outside: every route, asked over TCP as a client asks.
//!
//! One file for each route and verb; `shop.rs` is the app that they all ask.

mod authorisation;
mod bad_input;
mod docs;
mod health;
mod live;
mod openapi;
mod plugins;
mod query;
mod rows;
mod server;
mod shop;
