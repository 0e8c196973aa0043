//! What is counted of jobs, by name.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

/// An attempt has ended.
pub(crate) fn ended(name: &str, outcome: &'static str, took: Duration) {
    counter!("mainstay_jobs_total", "name" => name.to_owned(), "outcome" => outcome).increment(1);
    histogram!("mainstay_job_seconds", "name" => name.to_owned()).record(took.as_secs_f64());
}

/// An attempt begins, so long after it could have.
pub(crate) fn begun(name: &str, waited: Duration) {
    histogram!("mainstay_job_wait_seconds", "name" => name.to_owned()).record(waited.as_secs_f64());
    gauge!("mainstay_jobs_running", "name" => name.to_owned()).increment(1.0);
}

/// It does not run any more.
pub(crate) fn stopped(name: &str) {
    gauge!("mainstay_jobs_running", "name" => name.to_owned()).decrement(1.0);
}

/// Jobs were looked for.
pub(crate) fn claimed(count: usize) {
    let result = if count > 0 { "some" } else { "none" };
    counter!("mainstay_job_claims_total", "result" => result).increment(1);
}

/// Jobs were taken back from workers that were lost.
pub(crate) fn rescued(count: usize) {
    counter!("mainstay_jobs_rescued_total").increment(count as u64);
}
