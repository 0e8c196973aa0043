//! One call of a hook: a task beside the request, its questions, and its end.
//!
//! The request polls [`Running::next`] wherever it runs, SQLite's writer thread included: nothing here needs the runtime
//! under the thread that polls. A task that is left behind is aborted, and what it still asks finds nobody.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use super::{DEPTH_MAX, Eyes, HookCtx, Named, Shared};
use crate::error::{Error, Key};
use crate::hook::Access;
use crate::part::Operation;
use crate::response::Response;

/// Which hook is called, for what, and by which other hook.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) plugin: Arc<str>,
    /// `Invoice.on_update`
    pub(crate) hook: String,
    pub(crate) path: String,
    pub(crate) by: Option<Arc<Site>>,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of the plugin `{}`", self.hook, self.plugin)
    }
}

impl Site {
    fn depth(&self) -> usize {
        1 + self.by.as_ref().map_or(0, |by| by.depth())
    }

    /// The calls that lead here, the first one first.
    fn chain(&self) -> String {
        let own = format!("{} ({})", self.hook, self.plugin);
        self.by.as_ref().map_or(own.clone(), |by| format!("{} → {own}", by.chain()))
    }

    /// An error of the hook, with its name.
    fn attribute(&self, mut error: Error) -> Error {
        if error.key == Key::Internal {
            let words = error.internal.take().unwrap_or_default();
            error.internal = Some(format!("{self}: {words}"));
            error.key = Key::HookFailed;
            error.detail = format!("{self} failed");
            return error;
        }
        let is_attributed = error.detail.contains(" of the plugin `");
        if !is_attributed {
            error.detail = match error.detail.as_str() {
                "" => format!("{self}: {}", error.key.title()),
                words => format!("{self}: {words}"),
            };
        }
        // Places in a question of the hook are none in the caller's request.
        for field in &mut error.errors {
            if !field.path.starts_with(&self.path) {
                field.path = self.path.clone();
            }
        }
        error
    }
}

/// A question of a hook.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) operation: Operation,
    pub(crate) eyes: Eyes,
    pub(crate) access: Access,
    pub(crate) by: Arc<Site>,
    pub(crate) reply: oneshot::Sender<Result<Response, Error>>,
}

/// What a hook that runs comes to next.
pub(crate) enum Event<T> {
    /// It asks something, and waits.
    Asked(Box<Asked>),
    /// It is done: what it was given, as it has left it.
    Done(T),
}

/// A hook that runs.
pub(crate) struct Running<T> {
    site: Arc<Site>,
    questions: mpsc::Receiver<Asked>,
    task: JoinHandle<(T, Result<(), Error>)>,
    limit: Pin<Box<Sleep>>,
    patience: Duration,
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: Send + 'static> Running<T> {
    /// Starts a hook on what it is given.
    ///
    /// # Errors
    /// [`Key::HookLoop`] when hooks call each other too deep.
    pub(crate) fn start(
        runtime: &Handle,
        shared: &Arc<Shared>,
        hook: &Named<T>,
        site: Site,
        patience: Duration,
        mut argument: T,
    ) -> Result<Running<T>, Error> {
        if site.depth() > DEPTH_MAX {
            let words = format!("hooks call each other more than {DEPTH_MAX} deep: {}", site.chain());
            return Err(Error::at(Key::HookLoop, &site.path, "loop", words));
        }
        let site = Arc::new(site);
        let (sender, questions) = mpsc::channel(1);
        let deadline = shared.ctx.deadline.min(Instant::now() + patience);
        let ctx = HookCtx { shared: shared.clone(), site: site.clone(), questions: sender, deadline };
        let call = hook.call.clone();
        let task = runtime.spawn(async move {
            let result = call(&ctx, &mut argument).await;
            (argument, result)
        });
        let entered = runtime.enter();
        let limit = Box::pin(tokio::time::sleep_until(deadline.into()));
        drop(entered);
        Ok(Running { site, questions, task, limit, patience })
    }

    /// What comes next, before its time is over.
    ///
    /// # Errors
    /// The hook's own error, with its name.
    pub(crate) async fn next(&mut self) -> Result<Event<T>, Error> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Event<T>, Error>> {
        if let Poll::Ready(Some(asked)) = self.questions.poll_recv(context) {
            return Poll::Ready(Ok(Event::Asked(Box::new(asked))));
        }
        if let Poll::Ready(ended) = Pin::new(&mut self.task).poll(context) {
            return Poll::Ready(match ended {
                Ok((argument, Ok(()))) => Ok(Event::Done(argument)),
                Ok((_, Err(error))) => Err(self.site.attribute(error)),
                Err(error) => Err(self.site.attribute(Error::internal(error))),
            });
        }
        if self.limit.as_mut().poll(context).is_ready() {
            let words = format!("{} did not end within {:?}", self.site, self.patience);
            let mut error = Error::new(Key::HookTimeout, words);
            error.retry_after_s = Some(1);
            return Poll::Ready(Err(error));
        }
        Poll::Pending
    }
}
