#![doc = include_str!("../README.md")]

mod advise;
pub mod analyse;
pub mod capability;
mod check;
pub mod diagnostic;
pub mod eval;
pub mod expr;
pub mod filter;
pub mod fold;
pub mod format;
pub mod functions;
mod lexer;
pub mod naming;
pub mod ops;
pub mod parser;
pub mod reserved;
mod resolve;
pub mod rule;
pub mod schema;
pub mod source;
pub mod suggest;
pub mod syntax;
mod token;
pub mod types;
pub mod value;
