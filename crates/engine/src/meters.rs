//! What every operation is counted in, looked up once: finding a metric by its labels costs as much as reading a row.
//!
//! Handles are made at the first operation, by when the process has set its recorder if it has one.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Histogram};

use crate::error::Key;

const OPERATIONS: &str = "mainstay_operations_total";
const SECONDS: &str = "mainstay_operation_seconds";

/// The meters of an engine.
#[derive(Debug)]
pub(crate) struct Meters {
    pub(crate) reads: OperationMeters,
    pub(crate) writes: OperationMeters,
    pub(crate) history: OperationMeters,
}

/// The meters of one kind of operation.
#[derive(Debug)]
pub(crate) struct OperationMeters {
    kind: &'static str,
    handles: OnceLock<Handles>,
}

struct Handles {
    done: Counter,
    seconds: Histogram,
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handles")
    }
}

impl Meters {
    pub(crate) fn new() -> Meters {
        let of = |kind| OperationMeters { kind, handles: OnceLock::new() };
        Meters { reads: of("read"), writes: of("write"), history: of("history") }
    }
}

impl OperationMeters {
    /// Counts an operation that has ended, with the key of what refused it.
    pub(crate) fn note(&self, refused: Option<Key>, took: Duration) {
        let kind = self.kind;
        let handles = self.handles.get_or_init(|| Handles {
            done: metrics::counter!(OPERATIONS, "kind" => kind, "outcome" => "ok"),
            seconds: metrics::histogram!(SECONDS, "kind" => kind),
        });
        match refused {
            None => handles.done.increment(1),
            Some(key) => {
                metrics::counter!(OPERATIONS, "kind" => kind, "outcome" => key.text()).increment(1);
            }
        }
        handles.seconds.record(took.as_secs_f64());
    }
}
