//! Jobs on every database: what is promised of the queue and its workers.

mod claims;
mod harness;
mod life;
mod limits;
mod shown;
