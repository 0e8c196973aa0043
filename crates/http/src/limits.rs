//! What the server holds at once: requests in flight and bytes of their bodies.
//!
//! Who finds no room is turned away with 503 at once rather than queued, so that memory stays flat under any load
//! and those inside are served at full speed.

use std::sync::Arc;

use mainstay_engine::error::{Error, Key};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::options::Limits;

/// Bodies are counted in units of this many bytes: a semaphore counts to 2^29 at least on every platform.
const UNIT_BYTES: usize = 1024;

/// What is held now.
pub(crate) struct InFlight {
    requests: Arc<Semaphore>,
    body_units: Arc<Semaphore>,
}

/// Room for the bytes of one body; given back when dropped.
pub(crate) struct BodyRoom {
    body_units: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    units: usize,
}

impl InFlight {
    pub(crate) fn new(limits: &Limits) -> InFlight {
        let units = (limits.body_bytes_in_flight_max / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        let requests = limits.requests_in_flight_max.clamp(1, Semaphore::MAX_PERMITS);
        InFlight { requests: Arc::new(Semaphore::new(requests)), body_units: Arc::new(Semaphore::new(units)) }
    }

    /// A place for one request, or 503.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.requests).try_acquire_owned().map_err(|_| overloaded())
    }

    /// An empty room that grows with its body.
    pub(crate) fn body_room(&self) -> BodyRoom {
        BodyRoom { body_units: Arc::clone(&self.body_units), held: None, units: 0 }
    }
}

impl BodyRoom {
    /// Makes room for `bytes` in all, or 503.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        let units = bytes.div_ceil(UNIT_BYTES);
        if units <= self.units {
            return Ok(());
        }
        let more = u32::try_from(units - self.units).map_err(|_| overloaded())?;
        let permit = Arc::clone(&self.body_units).try_acquire_many_owned(more).map_err(|_| overloaded())?;
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        self.units = units;
        Ok(())
    }
}

fn overloaded() -> Error {
    Error::new(Key::Overloaded, "The server has more work than it takes on; ask again in a moment.")
}

#[cfg(test)]
mod tests {
    use super::InFlight;
    use crate::options::Limits;

    #[test]
    fn requests_beyond_the_limit_are_turned_away_until_one_leaves() {
        let in_flight = InFlight::new(&Limits { requests_in_flight_max: 1, ..Limits::default() });
        let first = in_flight.enter().unwrap();
        assert!(in_flight.enter().is_err());
        drop(first);
        assert!(in_flight.enter().is_ok());
    }

    #[test]
    fn bodies_share_one_budget() {
        let in_flight = InFlight::new(&Limits { body_bytes_in_flight_max: 4096, ..Limits::default() });
        let mut one = in_flight.body_room();
        let mut other = in_flight.body_room();
        one.grow(1).unwrap();
        one.grow(3000).unwrap();
        other.grow(1024).unwrap();
        assert!(other.grow(1025).is_err());
        drop(one);
        other.grow(4096).unwrap();
    }
}
