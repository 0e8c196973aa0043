//! Hooks around requests: of those that only read, and behind those that wrote.
//!
//! A request that only reads has no transaction: what its hooks ask is read for itself, and may not write. Behind a commit or a
//! rollback nothing of the request can be changed any more: an error of a hook there is logged, and what it asks is a request
//! of its own.

use std::pin::Pin;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::{Answer, Answers, Asked, Hooking, Question, Shared, Site, Touched};
use crate::ctx::Ctx;
use crate::engine::Engine;
use crate::error::Error;
use crate::part::Operation;
use crate::planning::Planning;
use crate::response::Response;
use crate::write::Along;
use crate::{read, write};

/// Answers from the engine's rows, without writing.
struct Reading<'e>(&'e Engine);

impl Answers for Reading<'_> {
    fn answer<'s>(&'s mut self, hooking: &'s Hooking, asked: Asked) -> Answer<'s> {
        Box::pin(async move {
            asked.refuse_writes(&hooking.planning)?;
            let ctx = asked.context(&hooking.shared);
            let hooking = hooking.by(asked.by);
            let Question::Operation(operation) = asked.question else { return Ok(Response::default()) };
            let touched = Touched::of(hooking.planning.schema(), &operation.documents);
            self.0.read_hooked(&hooking.planning, &ctx, operation, &hooking, &touched).await
        })
    }

    fn broken(&mut self) -> Option<Error> {
        None
    }
}

/// Answers by requests of their own.
struct Outside<'e>(&'e Engine);

impl Answers for Outside<'_> {
    fn answer<'s>(&'s mut self, hooking: &'s Hooking, asked: Asked) -> Answer<'s> {
        Box::pin(async move {
            if asked.access == super::Access::Read {
                asked.refuse_writes(&hooking.planning)?;
            }
            let ctx = asked.context(&hooking.shared);
            match asked.question {
                Question::Operation(operation) => {
                    let (planning, ctx) = self.0.ruling.enter(&ctx).await?;
                    self.0.execute_by(&planning, &ctx, &operation, Some(asked.by), None).await
                }
                // Nothing of the app's is in it that a hook could see.
                Question::Along(along) => {
                    let planning = self.0.ruling.now().await?;
                    let nothing = Operation::default();
                    let done = write::execute(self.0, &planning, &ctx, &nothing, None, Some(along)).await;
                    done.map(|done| done.response)
                }
            }
        })
    }

    fn broken(&mut self) -> Option<Error> {
        None
    }
}

impl Engine {
    /// Runs an operation with the hooks that it meets; `by`: the hook that asks, when its own request is over; `along`: what
    /// else is done in the transaction. Once in the program, like [`write::execute`].
    #[inline(never)]
    pub(crate) fn execute_by<'a>(
        &'a self,
        planning: &'a Arc<Planning>,
        ctx: &'a Ctx,
        operation: &'a Operation,
        by: Option<Arc<Site>>,
        along: Option<Along>,
    ) -> Pin<Box<dyn Future<Output = Result<Response, Error>> + Send + 'a>> {
        Box::pin(self.execute_around(planning, ctx, operation, by, along))
    }

    async fn execute_around(
        &self,
        planning: &Arc<Planning>,
        ctx: &Ctx,
        operation: &Operation,
        by: Option<Arc<Site>>,
        along: Option<Along>,
    ) -> Result<Response, Error> {
        let writes = along.is_some() || self.writes_in(operation);
        let touched = Touched::of(self.schema(), &operation.documents);
        let request = &self.hooks.request;
        let is_around = !request.on_success.is_empty() || !request.on_error.is_empty();
        let hooking = (is_around || touched.meets(&self.hooks)).then(|| Hooking {
            planning: planning.clone(),
            shared: Arc::new(Shared::new(self, ctx, operation)),
            runtime: Handle::current(),
            by,
        });
        let (result, is_repeated) = match &hooking {
            _ if writes => {
                let hooked = hooking.clone().filter(|_| touched.meets(&self.hooks));
                let hooked = hooked.map(|hooking| (hooking, touched));
                match write::execute(self, planning, ctx, operation, hooked, along).await {
                    Ok(done) => (Ok(done.response), done.is_repeated),
                    Err(error) => (Err(error), false),
                }
            }
            Some(hooking) => {
                (self.read_hooked(planning, ctx, operation.clone(), hooking, &touched).await, false)
            }
            None => (read::run(self, planning, ctx, operation).await, false),
        };
        if let Some(hooking) = hooking.filter(|_| is_around && !is_repeated) {
            self.tell_end(&hooking, &result).await;
        }
        let handle = |error| request.error_handlers.iter().fold(error, |error, handler| handler(ctx, error));
        result.map_err(handle)
    }

    /// Reads with the hooks that the request meets.
    async fn read_hooked(
        &self,
        planning: &Planning,
        ctx: &Ctx,
        mut operation: Operation,
        hooking: &Hooking,
        touched: &Touched,
    ) -> Result<Response, Error> {
        let mut reading = Reading(self);
        if touched.is_seen(&self.hooks) {
            hooking.requests(&mut reading, &mut operation.documents).await?;
            // A hook changes what is asked, never whether it only reads.
            if self.writes_in(&operation) {
                return Err(Error::internal("a hook made a request that reads into one that writes"));
            }
        }
        let mut response = read::run(self, planning, ctx, &operation).await?;
        if touched.is_answered(&self.hooks) {
            hooking.results(&mut reading, &operation.documents, &mut response).await?;
        }
        if hooking.by.is_none() {
            let hooks = &self.hooks.request.on_response;
            response = hooking.call_all(&mut reading, hooks, (None, "on_response", ""), response).await?;
        }
        Ok(response)
    }

    async fn tell_end(&self, hooking: &Hooking, result: &Result<Response, Error>) {
        let mut outside = Outside(self);
        let request = &self.hooks.request;
        let told = match result {
            Ok(response) => {
                let site = (None, "on_success", "");
                hooking.call_all(&mut outside, &request.on_success, site, response.clone()).await.map(drop)
            }
            Err(error) => {
                let site = (None, "on_error", "");
                hooking.call_all(&mut outside, &request.on_error, site, error.clone()).await.map(drop)
            }
        };
        if let Err(error) = told {
            tracing::error!(request_id = %hooking.shared.ctx.request_id, %error, "a hook behind a request failed");
        }
    }
}
