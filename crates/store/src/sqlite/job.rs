//! A write job without its types, as the writer's queue holds it.
//!
//! It keeps what it has come to until the group's commit has decided whether that is the answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::sync::oneshot;
use tracing::Span;

use crate::store::WriteJob;
use crate::{StoreError, Tx};

/// A job in the queue.
pub(crate) trait Job: Send {
    /// Runs it from its beginning; whether it wants to be kept.
    fn run(&mut self, tx: &mut Tx) -> bool;
    /// Replaces what it has come to.
    fn fail(&mut self, error: StoreError);
    /// Tells the caller what it has come to.
    fn answer(self: Box<Self>);
    /// When it is given up.
    fn deadline(&self) -> Instant;
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
}

/// A [`WriteJob`] with its caller.
pub(crate) struct TypedJob<T, E> {
    job: WriteJob<T, E>,
    deadline: Instant,
    span: Span,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E> TypedJob<T, E> {
    pub(crate) fn new(
        job: WriteJob<T, E>,
        deadline: Instant,
        reply: oneshot::Sender<Result<T, E>>,
    ) -> TypedJob<T, E> {
        TypedJob { job, deadline, span: Span::current(), result: None, reply }
    }
}

impl<T, E> Job for TypedJob<T, E>
where
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx) -> bool {
        let _entered = self.span.enter();
        if Instant::now() >= self.deadline {
            self.result = Some(Err(StoreError::Deadline.into()));
            return false;
        }
        tx.set_deadline(self.deadline);
        let result = catch_unwind(AssertUnwindSafe(|| run_to_end(&self.job, tx)))
            .unwrap_or_else(|panic| Err(StoreError::panicked(&*panic).into()));
        let kept = result.is_ok();
        self.result = Some(result);
        kept
    }

    fn fail(&mut self, error: StoreError) {
        self.result = Some(Err(error.into()));
    }

    fn answer(self: Box<Self>) {
        let result = self.result.unwrap_or_else(|| Err(StoreError::Closed.into()));
        // The caller may have gone in the meantime; what was committed stays.
        if self.reply.send(result).is_err() {
            tracing::debug!("a write was finished after its caller had gone");
        }
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// Polls the job once: no statement of SQLite is ever pending, and for anything else the writer must not wait.
fn run_to_end<T, E: From<StoreError>>(job: &WriteJob<T, E>, tx: &mut Tx) -> Result<T, E> {
    let mut future = job(tx);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => {
            Err(StoreError::Other("a write job waited for something else than its transaction".to_owned())
                .into())
        }
    }
}
