//! `/api/{table}` and what is under it.

mod create;
mod delete;
mod link;
mod list;
mod read;
mod update;
