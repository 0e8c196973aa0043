#![doc = include_str!("../README.md")]

pub mod bind;
mod caller;
pub mod catalog;
pub mod ctx;
pub mod document;
mod engine;
pub mod error;
mod explain;
mod expression;
mod forget;
pub mod guard;
mod history;
pub mod limits;
mod meters;
mod open;
pub mod part;
mod plan_cache;
pub mod prelude;
mod read;
mod render;
pub mod resolve;
pub mod response;
mod seed;
mod shape;
mod tail;
mod watch;
mod why;
mod write;

pub use engine::{Engine, Options};
pub use expression::for_children;
pub use history::{HistoryPage, Image};
pub use open::OpenError;
pub use render::render;
pub use tail::{Change, ChangeKind, Position, Tail};
pub use watch::{Among, Reading, Watch, WatchedRow};
pub use why::{Beyond, Clause, Line, Reasons, Why};
