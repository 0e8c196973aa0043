#![doc = include_str!("../README.md")]

mod command;
mod deliver;
mod device;
mod encrypt;
mod message;
mod network;
mod plugin;
mod routes;
mod sender;
mod vapid;
mod web;

pub use message::{MESSAGE_BYTES_MAX, Push, PushError, Urgency};
pub use plugin::{PUSH_JOB, PUSH_TABLES, PushOptions, PushPlugin, SetupPush};
pub use routes::push_routes;
pub use sender::{Message, Platform, SendError, Sender, Sent};
