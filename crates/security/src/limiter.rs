//! Who has asked how often, and whether once more is too often.
//!
//! Each limit is governor's generic cell rate algorithm over a memory of its own, which holds the clients that were heard of last: one
//! time for each, whatever they do. Whoever can ask from more addresses than it holds is forgotten early, and so asks oftener than the
//! limit says; memory stays as it is. What other nodes have let through is added as a debt, so that all of them together keep the
//! limit.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hasher as _};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::http::HeaderValue;
use governor::clock::{Clock, MonotonicClock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use mainstay_http::{Admit, Asking, By, Network, Standing};
use metrics::counter;
use parking_lot::Mutex;
use quick_cache::sync::Cache;

use crate::rate::{Rate, Who};

/// Clients that one limit remembers: some 10 MB.
const CLIENTS_MAX: usize = 100_000;

/// Requests that were refused, by limit.
const REFUSED: &str = "mainstay_rate_limited_total";

/// When each client could ask next, if all that it asked had come evenly spaced.
#[derive(Clone)]
struct Memory(Arc<Cache<u64, Arc<AtomicU64>>>);

/// Of a client that was not heard of.
const UNKNOWN: u64 = u64::MAX;

impl Memory {
    fn of(&self, client: u64) -> Arc<AtomicU64> {
        let made = || Ok::<_, Infallible>(Arc::new(AtomicU64::new(UNKNOWN)));
        let Ok(time) = self.0.get_or_insert_with(&client, made);
        time
    }
}

impl StateStore for Memory {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, client: &u64, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let kept = self.of(*client);
        let mut known = kept.load(Ordering::Acquire);
        loop {
            let (outcome, next) = measure((known != UNKNOWN).then(|| Nanos::new(known)))?;
            match kept.compare_exchange_weak(known, next.as_u64(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(outcome),
                Err(meanwhile) => known = meanwhile,
            }
        }
    }
}

/// One limit with whom it has counted.
struct Bucket<C: Clock> {
    rate: Rate,
    /// What it is called on the wire and in metrics.
    name: Arc<str>,
    policy: HeaderValue,
    /// Under which it is known to other nodes: those that are set alike share it.
    id: u64,
    limiter: RateLimiter<u64, Memory, C, StateInformationMiddleware>,
    memory: Memory,
    start: C::Instant,
    /// Requests that were refused and not told of yet.
    refused: AtomicU64,
    /// Nanoseconds from one request to the next, when they come evenly.
    step: u64,
}

impl<C: Clock> Bucket<C> {
    fn new(rate: Rate, place: usize, clock: C) -> Option<Bucket<C>> {
        let step = rate.span / rate.count;
        let quota = Quota::with_period(step)?.allow_burst(NonZeroU32::new(rate.burst)?);
        let name = format!("limit-{}", place + 1);
        let policy = format!("\"{name}\";q={};w={}", rate.count, rate.span.as_secs());
        let memory = Memory(Arc::new(Cache::new(CLIENTS_MAX)));
        Some(Bucket {
            id: hash_of(&rate.to_string()),
            name: name.into(),
            policy: HeaderValue::try_from(policy).ok()?,
            start: clock.now(),
            limiter: RateLimiter::new(quota, memory.clone(), clock),
            memory,
            refused: AtomicU64::new(0),
            step: u64::try_from(step.as_nanos()).ok()?,
            rate,
        })
    }

    fn ask(&self, client: u64, clock: &C) -> Standing {
        let (remaining, refused_s) = match self.limiter.check_key(&client) {
            Ok(snapshot) => (snapshot.remaining_burst_capacity(), None),
            Err(until) => (0, Some(seconds(until.wait_time_from(clock.now())))),
        };
        let used = self.rate.burst.saturating_sub(remaining);
        let reset_s = seconds(Duration::from_nanos(self.step.saturating_mul(used.into())));
        let (name, policy) = (self.name.clone(), self.policy.clone());
        Standing { name, policy, remaining, reset_s, refused_s }
    }

    /// Adds what another node has let through. Nobody is in debt for longer than the limit's span beyond what may come at once.
    fn charge(&self, client: u64, count: u32, clock: &C) {
        let now = clock.now().duration_since(self.start).as_u64();
        let burst = self.step.saturating_mul(self.rate.burst.into());
        let span = u64::try_from(self.rate.span.as_nanos()).unwrap_or(u64::MAX);
        let latest = now.saturating_add(burst).saturating_add(span);
        let added = self.step.saturating_mul(count.into());
        let with = |known: u64| {
            let from = if known == UNKNOWN { now } else { known.max(now) };
            Some(from.saturating_add(added).min(latest).max(from))
        };
        // The closure always has an answer.
        self.memory.of(client).fetch_update(Ordering::AcqRel, Ordering::Acquire, with).ok();
    }
}

/// Whole seconds, so many that the time is over by then; at least one.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs() + u64::from(time.subsec_nanos() > 0)).unwrap_or(u32::MAX).max(1)
}

/// A limit and a client of it, as nodes name them to each other.
pub(crate) type Counted = (u64, u64);

/// Counts requests under limits.
pub(crate) struct Limiter<C: Clock = MonotonicClock> {
    buckets: Vec<Bucket<C>>,
    free: Vec<Network>,
    clock: C,
    /// Whether what was let through is kept for other nodes.
    is_shared: AtomicBool,
    used: Mutex<HashMap<Counted, u32>>,
}

impl<C: Clock + Clone> Limiter<C> {
    pub(crate) fn new(rates: &[Rate], free: &[Network], clock: C) -> Limiter<C> {
        let bucket = |(place, rate): (usize, &Rate)| Bucket::new(rate.clone(), place, clock.clone());
        Limiter {
            buckets: rates.iter().enumerate().filter_map(bucket).collect(),
            free: free.to_vec(),
            is_shared: AtomicBool::new(false),
            used: Mutex::default(),
            clock,
        }
    }
}

impl<C: Clock> Limiter<C> {
    /// From now on what is let through is kept until it is taken.
    pub(crate) fn share(&self) {
        self.is_shared.store(true, Ordering::Relaxed);
    }

    /// What was let through since this was asked last.
    pub(crate) fn take_used(&self) -> HashMap<Counted, u32> {
        std::mem::take(&mut self.used.lock())
    }

    /// How many requests each limit has refused since this was asked last, of those that have.
    pub(crate) fn take_refused(&self) -> Vec<(String, u64)> {
        let refused =
            |bucket: &Bucket<C>| (bucket.rate.to_string(), bucket.refused.swap(0, Ordering::Relaxed));
        self.buckets.iter().map(refused).filter(|(_, count)| *count > 0).collect()
    }

    /// Counts what another node has let through.
    pub(crate) fn charge(&self, (limit, client): Counted, count: u32) {
        for bucket in self.buckets.iter().filter(|bucket| bucket.id == limit) {
            bucket.charge(client, count, &self.clock);
        }
    }

    fn standing(&self, asking: &Asking<'_>) -> Option<Standing> {
        let (who, client) = match asking.by {
            By::Address(address) if self.free.iter().any(|network| network.holds(address)) => return None,
            By::Address(address) => (Who::Address, client_of(address)),
            By::User(user) => (Who::User, hash_of(&user.to_string())),
        };
        let counts =
            |bucket: &&Bucket<C>| bucket.rate.who == who && bucket.rate.counts(asking.method, asking.route);
        let mut least: Option<Standing> = None;
        for bucket in self.buckets.iter().filter(counts) {
            let standing = bucket.ask(client, &self.clock);
            if standing.refused_s.is_some() {
                bucket.refused.fetch_add(1, Ordering::Relaxed);
                counter!(REFUSED, "limit" => bucket.name.to_string()).increment(1);
                return Some(standing);
            }
            if self.is_shared.load(Ordering::Relaxed) {
                *self.used.lock().entry((bucket.id, client)).or_default() += 1;
            }
            if least.as_ref().is_none_or(|least| standing.remaining < least.remaining) {
                least = Some(standing);
            }
        }
        least
    }
}

impl<C: Clock + Send + Sync + 'static> Admit for Limiter<C>
where
    C::Instant: Send + Sync,
{
    fn admit(&self, asking: &Asking<'_>) -> Option<Standing> {
        self.standing(asking)
    }
}

/// An address as a client: whoever has an IPv6 address has the 2^64 beside it too.
fn client_of(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => hash_of(&("4", address.to_bits())),
        IpAddr::V6(address) => hash_of(&("6", (address.to_bits() >> 64) as u64)),
    }
}

/// The same on every node of one release; between releases that hash otherwise, nodes count apart.
fn hash_of(of: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::Method;
    use governor::clock::FakeRelativeClock;
    use mainstay_http::{Asking, By, Network, Standing};
    use mainstay_lang::value::Value;

    use super::{Limiter, client_of};

    struct Asked {
        limiter: Limiter<FakeRelativeClock>,
        clock: FakeRelativeClock,
    }

    impl Asked {
        fn under(rates: &[&str]) -> Asked {
            let rates: Vec<_> = rates.iter().map(|rate| rate.parse().unwrap()).collect();
            let free: Vec<Network> = vec!["127.0.0.0/8".parse().unwrap()];
            let clock = FakeRelativeClock::default();
            Asked { limiter: Limiter::new(&rates, &free, clock.clone()), clock }
        }

        fn from(&self, address: &str, route: &str) -> Option<Standing> {
            let by = By::Address(address.parse().unwrap());
            self.limiter.standing(&Asking { method: &Method::GET, route, by })
        }

        fn is_let_in(&self, address: &str) -> bool {
            self.from(address, "/query").is_none_or(|standing| standing.refused_s.is_none())
        }
    }

    #[test]
    fn as_many_as_the_limit_says_are_let_in_and_then_as_time_goes_on() {
        let asked = Asked::under(&["address 60/1m burst 3"]);
        let standing = asked.from("192.0.2.1", "/query").unwrap();
        assert_eq!((standing.remaining, standing.reset_s, standing.refused_s), (2, 1, None));
        assert_eq!(standing.policy, "\"limit-1\";q=60;w=60");
        assert!(asked.is_let_in("192.0.2.1") && asked.is_let_in("192.0.2.1"));
        let refused = asked.from("192.0.2.1", "/query").unwrap();
        assert_eq!((refused.remaining, refused.refused_s), (0, Some(1)));
        assert!(asked.is_let_in("192.0.2.2"), "another address was counted with it");
        asked.clock.advance(Duration::from_secs(1));
        assert!(asked.is_let_in("192.0.2.1") && !asked.is_let_in("192.0.2.1"));
        asked.clock.advance(Duration::from_secs(600));
        assert_eq!((0..5).filter(|_| asked.is_let_in("192.0.2.1")).count(), 3, "more than come at once");
    }

    #[test]
    fn neighbours_in_ipv6_are_one_client_and_an_ipv4_address_is_one_however_it_is_written() {
        let same =
            |one: &str, other: &str| client_of(one.parse().unwrap()) == client_of(other.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8::ffff:1:2:3"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn each_limit_counts_what_it_is_about() {
        let asked = Asked::under(&["address 1/1h /auth/*", "user 1/1h", "address 5/1h"]);
        assert!(asked.from("192.0.2.1", "/auth/login").unwrap().refused_s.is_none());
        assert!(asked.from("192.0.2.1", "/auth/login").unwrap().refused_s.is_some());
        assert!(asked.is_let_in("192.0.2.1"));
        assert!(asked.from("127.0.0.1", "/auth/login").is_none(), "a free network was counted");
        let by_user = |name: &str| {
            let user = Value::Text(name.to_owned());
            let asking = Asking { method: &Method::GET, route: "/query", by: By::User(&user) };
            asked.limiter.standing(&asking).unwrap().refused_s.is_none()
        };
        assert!(by_user("ann") && !by_user("ann") && by_user("bob"));
    }

    #[test]
    fn what_other_nodes_let_through_counts_and_is_forgiven_in_time() {
        let (one, other) = (Asked::under(&["address 10/10s"]), Asked::under(&["address 10/10s"]));
        one.limiter.share();
        (0..10).for_each(|_| assert!(one.is_let_in("192.0.2.1")));
        let told = one.limiter.take_used();
        assert_eq!(told.values().copied().collect::<Vec<_>>(), [10]);
        assert!(one.limiter.take_used().is_empty());
        told.iter().for_each(|(counted, count)| other.limiter.charge(*counted, *count));
        assert!(!other.is_let_in("192.0.2.1") && other.is_let_in("192.0.2.2"));
        // Whatever is told, after the span and what may come at once all is as before.
        told.keys().for_each(|counted| other.limiter.charge(*counted, u32::MAX));
        other.clock.advance(Duration::from_secs(20));
        assert!(other.is_let_in("192.0.2.1"));
        // Of limits that are set otherwise nothing is taken.
        let third = Asked::under(&["address 11/10s"]);
        told.iter().for_each(|(counted, count)| third.limiter.charge(*counted, *count));
        assert_eq!((0..20).filter(|_| third.is_let_in("192.0.2.1")).count(), 11);
    }

    #[test]
    fn any_number_of_clients_takes_a_bounded_memory() {
        let asked = Asked::under(&["address 1/1h"]);
        for client in 0..300_000u32 {
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + client);
            let by = By::Address(address.into());
            asked.limiter.standing(&Asking { method: &Method::GET, route: "/query", by });
        }
        let held = asked.limiter.buckets[0].memory.0.len();
        assert!(held <= super::CLIENTS_MAX, "{held}");
    }
}
