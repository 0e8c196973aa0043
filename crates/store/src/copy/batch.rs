//! Rows on their way, some at a time, so that memory stays as small as the largest row asks.
//!
//! The memory of batches goes round: whoever has taken one hands it back for the next. A new piece for each would be freed by
//! another thread than made it, and an allocator may let a hundred such wait before it looks at them.

use std::mem;
use std::ops::Deref;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::Checksum;
use crate::StoreError;

/// A batch goes on its way once it has so many bytes.
const BATCH_BYTES: usize = 1 << 20;

/// The memory of a batch: room for the row that makes it enough, unless that is a large one.
const BUFFER_BYTES: usize = BATCH_BYTES + BATCH_BYTES / 8;

/// Batches that may wait for whoever takes them: enough for both sides to work at the same time.
const WAITING_MAX: usize = 2;

/// Tuples, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The tuples' bytes.
    pub(crate) tuples: Tuples,
    /// How many there are.
    pub(crate) rows: u64,
    /// Of them.
    pub(crate) checksum: Checksum,
}

/// The bytes of a batch; their memory goes back when they are dropped.
#[derive(Debug, Default)]
pub(crate) struct Tuples {
    bytes: Vec<u8>,
    free: Free,
}

/// Memory that waits to be filled again.
type Free = Arc<Mutex<Vec<Vec<u8>>>>;

impl Deref for Tuples {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Tuples {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Tuples {
    fn drop(&mut self) {
        let mut bytes = mem::take(&mut self.bytes);
        if bytes.capacity() > 0 {
            bytes.clear();
            self.free.lock().push(bytes);
        }
    }
}

/// Where batches come from; it ends with the rows or with an error.
pub(crate) type Batches = mpsc::Receiver<Result<Batch, StoreError>>;

/// Collects rows, and sends a batch whenever there are enough.
pub(crate) struct Sender {
    batch: Batch,
    free: Free,
    sender: mpsc::Sender<Result<Batch, StoreError>>,
}

/// Nobody takes batches any more.
#[derive(Debug)]
pub(crate) struct Gone;

/// Two ends of a way for batches.
pub(crate) fn channel() -> (Sender, Batches) {
    let (sender, batches) = mpsc::channel(WAITING_MAX);
    (Sender { batch: Batch::default(), free: Free::default(), sender }, batches)
}

impl Sender {
    /// Where the next tuple is written.
    pub(crate) fn tuples(&mut self) -> &mut Vec<u8> {
        let tuples = &mut self.batch.tuples;
        if tuples.bytes.capacity() == 0 {
            let free = self.free.lock().pop();
            let bytes = free.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES));
            *tuples = Tuples { bytes, free: self.free.clone() };
        }
        &mut tuples.bytes
    }

    /// Counts the tuple that was written at `from`; whether the batch has enough of them.
    pub(crate) fn end_row(&mut self, from: usize) -> bool {
        self.batch.rows += 1;
        self.batch.checksum.add_row(&self.batch.tuples[from..]);
        self.batch.tuples.len() >= BATCH_BYTES
    }

    /// Sends what there is; waits while too much is on its way.
    pub(crate) async fn send(&mut self) -> Result<(), Gone> {
        let batch = mem::take(&mut self.batch);
        self.sender.send(Ok(batch)).await.map_err(|_| Gone)
    }

    /// The same on a thread that may wait.
    pub(crate) fn blocking_send(&mut self) -> Result<(), Gone> {
        let batch = mem::take(&mut self.batch);
        self.sender.blocking_send(Ok(batch)).map_err(|_| Gone)
    }

    /// Sends the rest, or why there is none.
    pub(crate) async fn end(mut self, result: Result<(), StoreError>) {
        let last = match result {
            Ok(()) if self.batch.rows == 0 => return,
            Ok(()) => Ok(mem::take(&mut self.batch)),
            Err(error) => Err(error),
        };
        // Whoever took batches may have gone for a reason of his own.
        drop(self.sender.send(last).await);
    }

    /// The same on a thread that may wait.
    pub(crate) fn blocking_end(mut self, result: Result<(), StoreError>) {
        let last = match result {
            Ok(()) if self.batch.rows == 0 => return,
            Ok(()) => Ok(mem::take(&mut self.batch)),
            Err(error) => Err(error),
        };
        drop(self.sender.blocking_send(last));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{BATCH_BYTES, Sender, WAITING_MAX, channel};

    fn fill(sender: &mut Sender) {
        while {
            let tuples = sender.tuples();
            let from = tuples.len();
            tuples.extend_from_slice(&[7; 100_000]);
            !sender.end_row(from)
        } {}
    }

    /// However many rows come, they come in the same few pieces of memory.
    #[tokio::test(flavor = "multi_thread")]
    async fn memory_does_not_grow_with_the_rows() {
        const BATCHES: usize = 50;
        let (mut sender, mut batches) = channel();
        let sending = tokio::task::spawn_blocking(move || {
            for _ in 0..BATCHES {
                fill(&mut sender);
                sender.blocking_send().unwrap();
            }
            sender.blocking_end(Ok(()));
        });
        let (mut places, mut count) = (HashSet::new(), 0);
        while let Some(batch) = batches.recv().await {
            let batch = batch.unwrap();
            assert!(batch.tuples.len() >= BATCH_BYTES && batch.tuples.ends_with(&[7; 100]));
            places.insert(batch.tuples.as_ptr().addr());
            count += 1;
        }
        sending.await.unwrap();
        assert_eq!(count, BATCHES);
        // One that is filled, one that is taken, and those between them.
        assert!(places.len() <= WAITING_MAX + 2, "{} pieces of memory", places.len());
    }
}
