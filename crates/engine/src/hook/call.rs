//! One call of a hook: a thread beside the request, its questions, and its end.
//!
//! The request polls it wherever it runs, SQLite's writer thread included: nothing here needs the runtime under the thread that
//! polls. A hook runs on a thread for what may block, because one that blocks would otherwise keep the runtime from looking at its
//! sockets and timers, this one's time limit among them. One that is left behind is dropped where it next waits, and what it still
//! asks finds nobody.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use mainstay_lang::schema::TableId;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Sleep;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::{DEPTH_MAX, Eyes, HookCtx, Named, Shared};
use crate::ctx::{Caller, Ctx};
use crate::error::{Error, Key};
use crate::hook::Access;
use crate::part::Operation;
use crate::planning::Planning;
use crate::response::Response;
use crate::write::Along;

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

/// What a hook wants of whoever holds the transaction.
pub(crate) enum Question {
    /// An operation, and its answer.
    Operation(Operation),
    /// Something of the system's own.
    Along(Along),
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Operation(operation) => operation.fmt(f),
            Question::Along(_) => f.write_str("Along"),
        }
    }
}

/// A question of a hook.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    pub(crate) eyes: Eyes,
    pub(crate) access: Access,
    pub(crate) by: Arc<Site>,
}

/// Where the answer to a question goes.
pub(crate) type Reply = oneshot::Sender<Result<Response, Error>>;

impl Asked {
    /// The context that it is asked under.
    pub(crate) fn context(&self, shared: &Shared) -> Ctx {
        match self.eyes {
            Eyes::Caller => shared.ctx.clone(),
            Eyes::Admin => Ctx { caller: Arc::new(Caller::administrator()), ..shared.ctx.clone() },
        }
    }

    /// Whether it writes.
    pub(crate) fn writes(&self, planning: &Planning) -> bool {
        match &self.question {
            Question::Operation(operation) => planning.writes_in(operation),
            Question::Along(_) => true,
        }
    }

    /// Refuses what writes where nothing may.
    ///
    /// # Errors
    /// When it writes.
    pub(crate) fn refuse_writes(&self, planning: &Planning) -> Result<(), Error> {
        if self.writes(planning) {
            let words = "a question that writes was asked where hooks may only read";
            return Err(Error::internal(words));
        }
        Ok(())
    }
}

/// The answer to a question.
pub(crate) type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send + 'a>>;

/// Who answers the questions of hooks: a transaction, or the engine.
pub(crate) trait Answers: Send {
    /// Carries out a question.
    fn answer<'s>(&'s mut self, hooking: &'s Hooking, asked: Asked) -> Answer<'s>;

    /// What has gone wrong for good, whether the hook that asked lets it pass or not.
    fn broken(&mut self) -> Option<Error>;
}

/// What calling hooks of a request takes.
#[derive(Clone, Debug)]
pub(crate) struct Hooking {
    pub(crate) planning: Arc<Planning>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) runtime: Handle,
    /// The hook that asked for what runs now.
    pub(crate) by: Option<Arc<Site>>,
}

impl Hooking {
    /// For what a hook asks.
    pub(crate) fn by(&self, site: Arc<Site>) -> Hooking {
        Hooking { by: Some(site), ..self.clone() }
    }

    /// Calls hooks one after the other, each on what the one before it left. Boxed, because what a hook asks may call hooks,
    /// and each level would stand on the stack.
    ///
    /// # Errors
    /// The first error of one of them.
    pub(crate) fn call_all<'s, T: Send + 'static>(
        &'s self,
        answers: &'s mut dyn Answers,
        hooks: &'s [Named<T>],
        (table, name, path): (Option<TableId>, &'s str, &'s str),
        mut argument: T,
    ) -> Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 's>> {
        Box::pin(async move {
            for hook in hooks {
                let hook_name = match table {
                    Some(table) => format!("{}.{name}", self.planning.schema().table(table).name),
                    None => name.to_owned(),
                };
                let site = Site {
                    plugin: hook.plugin.clone(),
                    hook: hook_name,
                    path: path.to_owned(),
                    by: self.by.clone(),
                };
                argument = self.call(answers, hook, site, argument).await?;
            }
            Ok(argument)
        })
    }

    async fn call<T: Send + 'static>(
        &self,
        answers: &mut dyn Answers,
        hook: &Named<T>,
        site: Site,
        argument: T,
    ) -> Result<T, Error> {
        let span = tracing::debug_span!("hook", plugin = &*site.plugin, hook = site.hook, refused = Empty);
        let called = async {
            let mut running = Running::start(self, hook, site, argument)?;
            loop {
                match running.next().await? {
                    Event::Done(argument) => match answers.broken() {
                        Some(error) => return Err(running.site.attribute(error)),
                        None => return Ok(argument),
                    },
                    Event::Asked(asked, reply) => {
                        let answer = answers.answer(self, *asked).await;
                        // A hook that no longer waits has given up, and says so itself.
                        drop(reply.send(answer));
                    }
                }
            }
        };
        let result = called.instrument(span.clone()).await;
        span.record("refused", result.as_ref().err().map(|error| error.key.text()));
        result
    }
}

/// What a hook that runs comes to next.
enum Event<T> {
    /// It asks something, and waits.
    Asked(Box<Asked>, Reply),
    /// It is done: what it was given, as it has left it.
    Done(T),
}

/// A hook that runs.
struct Running<T> {
    site: Arc<Site>,
    questions: mpsc::Receiver<(Asked, Reply)>,
    task: JoinHandle<(T, Result<(), Error>)>,
    limit: Pin<Box<Sleep>>,
    patience: Duration,
    /// Dropped with this: then the hook is left behind.
    _in_use: oneshot::Sender<()>,
}

impl<T: Send + 'static> Running<T> {
    /// Starts a hook on what it is given.
    ///
    /// # Errors
    /// [`Key::HookLoop`] when hooks call each other too deep.
    fn start(hooking: &Hooking, hook: &Named<T>, site: Site, mut argument: T) -> Result<Running<T>, Error> {
        let Hooking { planning, shared, runtime, .. } = hooking;
        let patience = planning.limits().hook;
        if site.depth() > DEPTH_MAX {
            let words = format!("hooks call each other more than {DEPTH_MAX} deep: {}", site.chain());
            return Err(Error::at(Key::HookLoop, &site.path, "loop", words));
        }
        let site = Arc::new(site);
        let (sender, questions) = mpsc::channel(1);
        let deadline = shared.ctx.deadline.min(Instant::now() + patience);
        let ctx = HookCtx { shared: shared.clone(), site: site.clone(), questions: sender, deadline };
        let call = hook.call.clone();
        let (in_use, left) = oneshot::channel::<()>();
        let run = async move {
            let result = tokio::select! {
                result = call(&ctx, &mut argument) => result,
                _ = left => Err(Error::internal("it was left behind")),
            };
            (argument, result)
        };
        let (handle, span) = (runtime.clone(), tracing::Span::current());
        let task = runtime.spawn_blocking(move || handle.block_on(run.instrument(span)));
        let entered = runtime.enter();
        let limit = Box::pin(tokio::time::sleep_until(deadline.into()));
        drop(entered);
        Ok(Running { site, questions, task, limit, patience, _in_use: in_use })
    }

    /// What comes next, before its time is over.
    ///
    /// # Errors
    /// The hook's own error, with its name.
    async fn next(&mut self) -> Result<Event<T>, Error> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Event<T>, Error>> {
        if let Poll::Ready(Some((asked, reply))) = self.questions.poll_recv(context) {
            return Poll::Ready(Ok(Event::Asked(Box::new(asked), reply)));
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
