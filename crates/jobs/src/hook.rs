//! The queue in the hands of hooks: what they enqueue is there when their request is committed, and never without it.

use std::future::Future;

use mainstay_engine::error::Error;
use mainstay_engine::hook::HookCtx;
use uuid::Uuid;

use crate::jobs::outbox_of;
use crate::new::NewJob;

/// The word that this crate adds to a hook's context.
pub trait HookJobs {
    /// Enqueues a job in the request's transaction, as asked by its caller, and tells the id: that of another where one waits under
    /// its unique key. In `on_success` and `on_error`, where the request is over, it is enqueued at once.
    ///
    /// # Errors
    /// When no job has its name, the request only reads, or the database fails; with the last of them the whole request does.
    fn enqueue(&self, new: NewJob) -> impl Future<Output = Result<Uuid, Error>> + Send;
}

impl HookJobs for HookCtx {
    async fn enqueue(&self, new: NewJob) -> Result<Uuid, Error> {
        let outbox = outbox_of(self.parts(), self.schema(), self.dialect());
        let rows = outbox.rows(vec![new.asked_by(self.request())])?;
        let (along, enqueued) = outbox.along(rows);
        self.along(along).await?;
        let id = enqueued.lock().first().copied();
        id.ok_or_else(|| Error::internal("nothing was enqueued"))
    }
}
