//! Under construction.

pub mod diagnostic;
pub mod expr;
mod lexer;
pub mod ops;
pub mod parser;
pub mod reserved;
pub mod schema;
pub mod source;
pub mod suggest;
pub mod syntax;
mod token;
pub mod types;
pub mod value;
