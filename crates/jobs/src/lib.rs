#![doc = include_str!("../README.md")]

mod backoff;
mod clock;
mod definition;
mod error;
mod hook;
mod jobs;
mod log;
mod meters;
mod new;
mod plugin;
mod rate;
mod row;
mod schedule;
mod statements;
mod tick;
mod worker;

pub use backoff::Backoff;
pub use definition::{Definition, Definitions, Scheduled};
pub use error::{JobError, JobsError};
pub use hook::HookJobs;
pub use jobs::{Jobs, Kept};
pub use mainstay_engine::Clock;
pub use new::{NewJob, Unique};
pub use plugin::{JOB_TABLE, JobSetup, JobsPlugin};
pub use rate::Rate;
pub use row::{JobRow, State};
pub use schedule::{CatchUp, Schedule, cron, zone};
pub use worker::{Running, Worker, WorkerOptions};
