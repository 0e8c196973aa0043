//! Stands in for the engine until it is there.

pub use mainstay_engine::Engine;
pub(crate) use mainstay_engine::document::{parse, parse_rows};
pub(crate) use mainstay_engine::render;
pub(crate) use mainstay_lang::suggest::nearest;
