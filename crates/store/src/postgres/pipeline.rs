//! Futures that are begun before they are waited for.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

/// A request whose first poll has sent it, and whose answer is waited for later.
pub(super) struct Sent<T> {
    future: BoxFuture<'static, T>,
    early: Option<T>,
}

impl<T> Sent<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Sent<T> {
        Sent { future: Box::pin(future), early: None }
    }

    /// Sends it.
    pub(super) fn send(&mut self, cx: &mut Context<'_>) {
        if let Poll::Ready(answer) = self.future.as_mut().poll(cx) {
            self.early = Some(answer);
        }
    }

    /// Its answer.
    pub(super) async fn answer(mut self) -> T {
        match self.early.take() {
            Some(answer) => answer,
            None => self.future.await,
        }
    }
}

/// Runs a future to its end even when whoever waits for it lets go of it: a transaction must not stay open, and the
/// answers of a connection must be taken off it.
pub(super) struct Finishing<T: Send + 'static> {
    future: Option<BoxFuture<'static, T>>,
}

impl<T: Send + 'static> Finishing<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Finishing<T> {
        Finishing { future: Some(Box::pin(future)) }
    }

    /// Its outcome, for those who wait.
    pub(super) async fn finish(mut self) -> T {
        poll_fn(|cx| {
            let future = self.future.as_mut().expect("taken only when it is ready or dropped");
            let outcome = std::task::ready!(Pin::new(future).poll(cx));
            self.future = None;
            Poll::Ready(outcome)
        })
        .await
    }
}

impl<T: Send + 'static> Drop for Finishing<T> {
    fn drop(&mut self) {
        // Without a runtime the connections are going as well.
        if let Some(future) = self.future.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(future);
        }
    }
}
