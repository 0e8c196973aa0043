//! Connections that are used by one at a time: for transactions that write, and for reads that take long.
//!
//! A connection comes back only when nothing is left open on it; any other is dropped, and the server rolls back what
//! it was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use super::connection::{Connection, Purpose, Target};
use crate::StoreError;

/// At most so many connections.
pub(super) struct Pool {
    target: Arc<Target>,
    permits: Arc<Semaphore>,
    size: u32,
    /// Connections that nobody uses, the last one used on top.
    free: Mutex<Vec<Arc<Connection>>>,
    waiting: AtomicUsize,
    waiting_max: usize,
    closed: AtomicBool,
}

impl Pool {
    pub(super) fn new(target: Arc<Target>, size: usize, waiting_max: usize) -> Arc<Pool> {
        let size = u32::try_from(size.max(1)).unwrap_or(u32::MAX);
        Arc::new(Pool {
            target,
            permits: Arc::new(Semaphore::new(size as usize)),
            size,
            free: Mutex::default(),
            waiting: AtomicUsize::new(0),
            waiting_max,
            closed: AtomicBool::new(false),
        })
    }

    /// A connection, as soon as there is one.
    pub(super) async fn lease(self: &Arc<Pool>, deadline: Instant) -> Result<Lease, StoreError> {
        let asked = Instant::now();
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        if asked >= deadline {
            return Err(StoreError::Deadline);
        }
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait(deadline).await?,
        };
        let mut lease = Lease { pool: self.clone(), connection: None, clean: true, _permit: permit };
        lease.connect(asked).await?;
        Ok(lease)
    }

    async fn wait(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, StoreError> {
        let _waiting = Waiting::begin(self)?;
        match timeout_at(deadline.into(), self.permits.clone().acquire_owned()).await {
            Err(_) => Err(StoreError::Deadline),
            Ok(Err(_)) => Err(StoreError::Closed),
            Ok(Ok(permit)) => Ok(permit),
        }
    }

    /// How many wait for a connection.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Hands out no further connections, and waits until those in use, and for those who wait already, are back.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // An error means that another call has come to the end of this already.
        if let Ok(all) = self.permits.acquire_many(self.size).await {
            all.forget();
            self.permits.close();
        }
        self.free.lock().clear();
    }
}

/// Counted among those who wait.
struct Waiting<'p>(&'p Pool);

impl Waiting<'_> {
    fn begin(pool: &Pool) -> Result<Waiting<'_>, StoreError> {
        let waiting = Waiting(pool);
        if pool.waiting.fetch_add(1, Ordering::Relaxed) >= pool.waiting_max {
            return Err(StoreError::Busy { reason: "too much is waiting already" });
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection of one's own for a while.
pub(super) struct Lease {
    pool: Arc<Pool>,
    connection: Option<Arc<Connection>>,
    /// Whether nothing is open on it or on its way.
    clean: bool,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// The connection.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        self.connection.as_ref().expect("connected when leased, and again before it is used again")
    }

    /// From here on, until it is clean again, something may be open on it.
    pub(super) fn soil(&mut self) {
        self.clean = false;
    }

    /// Nothing is open on it any more.
    pub(super) fn clean(&mut self) {
        self.clean = true;
    }

    /// Makes sure that it can be used: when it is closed or something may be open on it, another takes its place.
    pub(super) async fn connect(&mut self, asked: Instant) -> Result<(), StoreError> {
        let usable = |connection: &Arc<Connection>| !connection.is_closed();
        if self.clean && self.connection.as_ref().is_some_and(usable) {
            return Ok(());
        }
        self.connection = None;
        while let Some(free) = self.pool.take() {
            if usable(&free) {
                self.connection = Some(free);
                break;
            }
        }
        if self.connection.is_none() {
            self.connection = Some(Arc::new(self.pool.target.connect(Purpose::Logged, asked).await?));
        }
        self.clean = true;
        Ok(())
    }
}

impl Pool {
    fn take(&self) -> Option<Arc<Connection>> {
        self.free.lock().pop()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.clean
            && !connection.is_closed()
            && !self.pool.permits.is_closed()
        {
            self.pool.free.lock().push(connection);
        }
    }
}
