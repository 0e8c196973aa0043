#![doc = include_str!("../README.md")]

pub mod catalogue;
pub mod copy;
pub mod ddl;
pub mod dialect;
pub mod forms;
pub mod migration;
pub mod model;
pub mod plan;
pub mod pull;
pub mod scan;
pub mod statement;
pub mod system;
pub mod triggers;

mod aggregate;
mod expr;
mod rows;
mod select;
mod writer;

pub use aggregate::aggregate;
pub use dialect::{Dialect, POSTGRES, SQLITE};
pub use rows::{
    count, delete, hold, images, insert, insert_without, last_key, link, linked, test, test_given, unlink,
    update, versioned,
};
pub use select::select;
