//! Under construction.

pub mod ctx;
pub mod error;
pub mod part;
pub mod response;
