//! What the hub counts. Handles are looked up once.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::view::View;

/// The meters of a hub.
pub(crate) struct Meters {
    /// Lines of the log that were looked at.
    pub(crate) changes: Counter,
    /// Changes that were put on their way to a subscriber.
    pub(crate) events: Counter,
    /// Subscriptions that ended because their client was too slow.
    pub(crate) lagged: Counter,
    /// Seconds from the request that wrote a line to finding it.
    pub(crate) lag: Histogram,
    connections: Gauge,
    depth: Gauge,
    /// Subscriptions: found by keys and decided from images; found by keys and read again; asked of every change.
    routed: Gauge,
    read: Gauge,
    scanned: Gauge,
}

impl Meters {
    pub(crate) fn new() -> Meters {
        let subscriptions = |way: &'static str| gauge!("mainstay_live_subscriptions", "found" => way);
        Meters {
            changes: counter!("mainstay_live_changes_total"),
            events: counter!("mainstay_live_events_total"),
            lagged: counter!("mainstay_live_lagged_total"),
            lag: histogram!("mainstay_live_lag_seconds"),
            connections: gauge!("mainstay_live_connections"),
            depth: gauge!("mainstay_live_queue_depth_max"),
            routed: subscriptions("keys"),
            read: subscriptions("keys_and_read"),
            scanned: subscriptions("every_change"),
        }
    }

    /// Counts a subscription in or out.
    pub(crate) fn count(&self, view: &View, by: f64) {
        let is_scanned = view.routes.iter().any(|route| route.by().is_everything());
        let gauge = match (is_scanned, view.local().is_some()) {
            (true, _) => &self.scanned,
            (false, true) => &self.routed,
            (false, false) => &self.read,
        };
        gauge.increment(by);
    }

    pub(crate) fn measure(&self, connections: usize, depth: usize) {
        self.connections.set(connections as f64);
        self.depth.set(depth as f64);
    }
}
