//! What every operation is counted in, looked up once: finding a metric by its labels costs as much as reading a row.
//!
//! Handles are made at the first operation, by when the process has set its recorder if it has one.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Histogram};

use crate::error::Key;

const OPERATIONS: &str = "mainstay_operations_total";
const SECONDS: &str = "mainstay_operation_seconds";

/// The meters of the operations that write, or of those that do not.
#[derive(Debug, Default)]
pub(crate) struct OperationMeters {
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

impl OperationMeters {
    /// Counts an operation that has ended, with the key of what refused it.
    pub(crate) fn note(&self, kind: &'static str, refused: Option<Key>, took: Duration) {
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
