//! Under construction.

pub mod diagnostic;
pub mod expr;
pub mod ops;
pub mod schema;
pub mod source;
pub mod syntax;
pub mod types;
pub mod value;
