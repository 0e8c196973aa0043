//! The server itself: limits, connections, origins, its end.

mod compression;
mod cors;
mod limits;
mod stop;
mod trace;
