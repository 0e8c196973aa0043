//! What a store counts while it works.
//!
//! Plain numbers since the store was opened; whoever speaks a metrics protocol reads a snapshot. Histograms have
//! powers of two as their bounds, so that recording one is a few instructions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of a histogram: the one at `i` counts what is at most `2^i`, the last also everything above.
pub const BUCKETS: usize = 20;

/// A snapshot of what a store has counted since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreMetrics {
    /// Write jobs that wait.
    pub write_queue: u64,
    /// Long reads that wait.
    pub read_queue: u64,
    /// Write jobs that were answered, with success or failure.
    pub jobs: u64,
    /// Transactions that were committed.
    pub commits: u64,
    /// Write jobs that were run again because their transaction was lost: to a neighbour, a clash, a connection.
    pub reruns: u64,
    /// Jobs by the size of the group that they were committed in: one count for each group.
    pub group_sizes: [u64; BUCKETS],
    /// Commits by their microseconds, waiting for the disk included.
    pub commit_us: [u64; BUCKETS],
    /// All commits together, in microseconds.
    pub commit_us_total: u64,
    /// Batches read on the thread of their caller, or on a connection that all share.
    pub inline_reads: u64,
    /// Batches read by a reader thread, or on a connection of their own.
    pub pool_reads: u64,
    /// Batches that were begun where they stood in the way of others and took too long there.
    pub overruns: u64,
    /// How often another process was found to have changed the database.
    pub foreign_changes: u64,
    /// Batches that a replica answered.
    pub replica_reads: u64,
    /// Batches that the primary answered because the replica was away or not far enough.
    pub replica_fallbacks: u64,
}

/// The live counters behind [`StoreMetrics`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) jobs: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) reruns: AtomicU64,
    pub(crate) inline_reads: AtomicU64,
    pub(crate) pool_reads: AtomicU64,
    pub(crate) overruns: AtomicU64,
    group_sizes: [AtomicU64; BUCKETS],
    commit_us: [AtomicU64; BUCKETS],
    commit_us_total: AtomicU64,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    /// A group of so many jobs was committed in so much time.
    pub(crate) fn committed(&self, jobs: usize, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        count(&self.commits);
        count(&self.group_sizes[bucket(jobs as u64)]);
        count(&self.commit_us[bucket(us)]);
        self.commit_us_total.fetch_add(us, Ordering::Relaxed);
    }

    /// The counters as they stand; queues and foreign changes are known elsewhere.
    pub(crate) fn snapshot(&self) -> StoreMetrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StoreMetrics {
            jobs: read(&self.jobs),
            commits: read(&self.commits),
            reruns: read(&self.reruns),
            group_sizes: std::array::from_fn(|at| read(&self.group_sizes[at])),
            commit_us: std::array::from_fn(|at| read(&self.commit_us[at])),
            commit_us_total: read(&self.commit_us_total),
            inline_reads: read(&self.inline_reads),
            pool_reads: read(&self.pool_reads),
            overruns: read(&self.overruns),
            ..StoreMetrics::default()
        }
    }
}

/// The first bucket whose bound is not below `value`.
fn bucket(value: u64) -> usize {
    let bits = u64::BITS - value.saturating_sub(1).leading_zeros();
    (bits as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, bucket};

    #[test]
    fn buckets_are_bounded_by_powers_of_two() {
        let cases =
            [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10), (1025, 11), (u64::MAX, BUCKETS - 1)];
        for (value, expect) in cases {
            assert_eq!(bucket(value), expect, "{value}");
        }
    }
}
