//! Under construction.

pub mod ctx;
pub mod document;
pub mod error;
pub mod part;
pub mod response;
