//! What the server holds at once: requests in flight and bytes of their bodies; connections of one client.
//!
//! Who finds no room is turned away with 503 at once rather than queued, so that memory stays flat under any load
//! and those inside are served at full speed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use mainstay_engine::error::{Error, Key};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::Network;
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

/// Connections by the client that they come from: an address, of IPv6 the /64 that it is in.
#[derive(Clone)]
pub(crate) struct ByClient {
    held: Arc<Mutex<HashMap<u64, usize>>>,
    max: usize,
    free: Arc<[Network]>,
}

/// The place of one connection; given back when dropped.
pub(crate) struct ClientPlace {
    held: Arc<Mutex<HashMap<u64, usize>>>,
    client: u64,
}

impl ByClient {
    /// Those of one client are at most so many; of some networks, such as that of a proxy, any number.
    pub(crate) fn new(max: usize, free: impl IntoIterator<Item = Network>) -> ByClient {
        ByClient { held: Arc::default(), max, free: free.into_iter().collect() }
    }

    /// A place; `Err`: the client has as many as it may.
    pub(crate) fn enter(&self, address: IpAddr) -> Result<Option<ClientPlace>, ()> {
        if self.max == 0 || self.free.iter().any(|network| network.holds(address)) {
            return Ok(None);
        }
        let client = match address.to_canonical() {
            // No /64 that is given out begins with zeros, so the two are never the same.
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
        };
        let mut held = self.held.lock();
        let count = held.entry(client).or_default();
        if *count >= self.max {
            return Err(());
        }
        *count += 1;
        Ok(Some(ClientPlace { held: self.held.clone(), client }))
    }
}

impl Drop for ClientPlace {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        if let Some(count) = held.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.client);
            }
        }
    }
}

fn overloaded() -> Error {
    Error::new(Key::Overloaded, "The server has more work than it takes on; ask again in a moment.")
}

#[cfg(test)]
mod tests {
    use super::{ByClient, InFlight};
    use crate::options::Limits;

    #[test]
    fn a_client_has_so_many_connections_and_others_are_not_kept_out_by_it() {
        let connections = ByClient::new(2, ["10.0.0.0/8".parse().unwrap()]);
        let enter = |address: &str| connections.enter(address.parse().unwrap());
        let first = enter("2001:db8::1").unwrap();
        let _second = enter("2001:db8::2").unwrap();
        assert!(enter("2001:db8::3").is_err());
        let _other = enter("192.0.2.1").unwrap().expect("it is counted");
        assert!((0..5).all(|_| enter("10.1.2.3").unwrap().is_none()), "a free network was counted");
        drop(first);
        assert!(enter("2001:db8::3").is_ok());
    }

    #[test]
    fn nothing_is_kept_of_clients_that_are_gone() {
        let connections = ByClient::new(1, []);
        drop(connections.enter("192.0.2.1".parse().unwrap()).unwrap());
        assert!(connections.held.lock().is_empty());
    }

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
