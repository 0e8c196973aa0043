//! Under construction.

pub mod catalog;
pub mod ctx;
pub mod document;
pub mod error;
mod expression;
pub mod guard;
pub mod part;
pub mod resolve;
pub mod response;
