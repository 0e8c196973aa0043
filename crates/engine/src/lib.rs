//! Under construction.

pub mod bind;
mod caller;
pub mod catalog;
pub mod ctx;
pub mod document;
pub mod error;
mod expression;
pub mod guard;
pub mod limits;
pub mod part;
pub mod prelude;
pub mod resolve;
pub mod response;
