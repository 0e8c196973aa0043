//! `/api/{table}` and what is under it.

mod create;
mod delete;
mod history;
mod link;
mod list;
mod read;
mod update;
