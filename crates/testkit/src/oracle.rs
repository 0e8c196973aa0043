//! The oracle: what an app must answer, foretold from its rules and all of its rows.
//!
//! A [`Case`] is an app, its rows, a caller and a request. [`generate`] makes them from a seed, [`predict`] says what a read
//! must answer and [`simulate`] what a write must leave behind, [`judge`] runs the request through the engine on a real database and compares, and [`shrink`] makes a case
//! that fails small. A case is text in the end, so that it can be kept and run again.

pub mod case;
pub mod generate;
pub mod judge;
pub mod live;
pub mod model;
pub mod others;
pub mod overrides;
pub mod predict;
pub mod request;
pub mod run;
pub mod shrink;
pub mod simulate;

pub use case::Case;
