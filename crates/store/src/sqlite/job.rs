//! A write job without its types, as the writer's queue holds it.
//!
//! It keeps what it has come to until the group's commit has decided whether that is the answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;

use tokio::sync::oneshot;
use tracing::Span;
use tracing::level_filters::LevelFilter;

use crate::store::WriteJob;
use crate::{StoreError, Tx, spans};

/// A job in the queue.
pub(crate) trait Job: Send {
    /// Runs it from its beginning; whether it wants to be kept.
    fn run(&mut self, tx: &mut Tx) -> bool;
    /// It has run, and what it has done is about to be committed.
    fn commits(&mut self);
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
    /// What it does while it does not run: it waits for its turn, then for the commit.
    meanwhile: Span,
    result: Option<Result<T, E>>,
    reply: Option<oneshot::Sender<Result<T, E>>>,
    run: Run<T, E>,
}

/// How the future of a job is polled to its end.
type Run<T, E> = fn(&WriteJob<T, E>, &mut Tx) -> Result<T, E>;

impl<T, E> TypedJob<T, E> {
    /// One that waits for nothing but its transaction.
    pub(crate) fn new(job: WriteJob<T, E>, deadline: Instant) -> TypedJob<T, E>
    where
        E: From<StoreError>,
    {
        let meanwhile = spans::wait("writer");
        TypedJob {
            job,
            deadline,
            span: Span::current(),
            meanwhile,
            result: None,
            reply: None,
            run: run_to_end,
        }
    }

    /// One that may wait for other things, while the writer waits for it.
    pub(crate) fn waiting(job: WriteJob<T, E>, deadline: Instant) -> TypedJob<T, E>
    where
        E: From<StoreError>,
    {
        TypedJob { run: wait_to_end, ..TypedJob::new(job, deadline) }
    }

    /// With whom it is for.
    pub(crate) fn answering(self, reply: oneshot::Sender<Result<T, E>>) -> TypedJob<T, E> {
        TypedJob { reply: Some(reply), ..self }
    }
}

impl<T, E> Job for TypedJob<T, E>
where
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx) -> bool {
        self.meanwhile = Span::none();
        let _entered = self.span.enter();
        if Instant::now() >= self.deadline {
            self.result = Some(Err(StoreError::Deadline.into()));
            return false;
        }
        tx.set_deadline(self.deadline);
        let result = catch_unwind(AssertUnwindSafe(|| (self.run)(&self.job, tx)))
            .unwrap_or_else(|panic| Err(StoreError::panicked(&*panic).into()));
        let kept = result.is_ok();
        self.result = Some(result);
        kept
    }

    fn commits(&mut self) {
        // Entering a span costs more than seeing that nobody listens.
        if LevelFilter::current() >= LevelFilter::DEBUG && matches!(self.result, Some(Ok(_))) {
            self.meanwhile = self.span.in_scope(|| tracing::debug_span!("commit"));
        }
    }

    fn fail(&mut self, error: StoreError) {
        self.result = Some(Err(error.into()));
    }

    fn answer(self: Box<Self>) {
        // Whoever waits for the answer tells how long everything took.
        drop(self.meanwhile);
        drop(self.span);
        let result = self.result.unwrap_or_else(|| Err(StoreError::Closed.into()));
        // The caller may have gone in the meantime; what was committed stays.
        if self.reply.is_some_and(|reply| reply.send(result).is_err()) {
            tracing::debug!("a write was finished after its caller had gone");
        }
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
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

/// Polls the job whenever something that it waits for has come, until its deadline. What is given up then is undone by the
/// writer, as every failure is.
fn wait_to_end<T, E: From<StoreError>>(job: &WriteJob<T, E>, tx: &mut Tx) -> Result<T, E> {
    let deadline = tx.deadline();
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = job(tx);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(StoreError::Deadline.into());
        }
        std::thread::park_timeout(left);
    }
}

/// Wakes a thread that has parked itself.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
