//! Rows on their way, some at a time, so that memory stays as small as the largest row asks.

use std::mem;

use tokio::sync::mpsc;

use super::Checksum;
use crate::StoreError;

/// A batch goes on its way once it has so many bytes.
const BATCH_BYTES: usize = 1 << 20;

/// Batches that may wait for whoever takes them: enough for both sides to work at the same time.
const WAITING_MAX: usize = 2;

/// Tuples, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The tuples' bytes.
    pub(crate) tuples: Vec<u8>,
    /// How many there are.
    pub(crate) rows: u64,
    /// Of them.
    pub(crate) checksum: Checksum,
}

/// Where batches come from; it ends with the rows or with an error.
pub(crate) type Batches = mpsc::Receiver<Result<Batch, StoreError>>;

/// Collects rows, and sends a batch whenever there are enough.
pub(crate) struct Sender {
    batch: Batch,
    sender: mpsc::Sender<Result<Batch, StoreError>>,
}

/// Nobody takes batches any more.
#[derive(Debug)]
pub(crate) struct Gone;

/// Two ends of a way for batches.
pub(crate) fn channel() -> (Sender, Batches) {
    let (sender, batches) = mpsc::channel(WAITING_MAX);
    (Sender { batch: Batch::default(), sender }, batches)
}

impl Sender {
    /// Where the next tuple is written.
    pub(crate) fn tuples(&mut self) -> &mut Vec<u8> {
        let tuples = &mut self.batch.tuples;
        if tuples.capacity() == 0 {
            tuples.reserve(BATCH_BYTES + BATCH_BYTES / 8);
        }
        tuples
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
