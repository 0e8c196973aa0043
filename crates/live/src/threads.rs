//! The threads that those who listen are served by: behind all others when there is not enough for all.
//!
//! A change that a thousand are told of is a thousand frames, while the one who has written it waits for its answer on the
//! same processors. So following the log and writing frames has threads of its own, which stand back: a request is let
//! through at once, and what is told is told a moment later.
//!
//! Nothing is asked of the database here: a connection to it belongs to the threads that have opened it, and requests use the
//! same ones. Reads for those who listen run where requests do.

use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// How far they stand back: they get about half of what others get of a processor that both want. With a tenth (10) they stay behind
/// for ever on a machine that only writes.
#[cfg(target_os = "linux")]
const NICE: i32 = 3;

#[derive(Debug)]
pub(crate) struct Threads {
    /// None: there are no more threads to be had, and the requests' own have to do.
    runtime: Option<Runtime>,
    requests: Handle,
}

impl Threads {
    /// To be called inside a runtime.
    pub(crate) fn start() -> Threads {
        let half = std::thread::available_parallelism().map_or(1, |count| count.get().div_ceil(2));
        let built = Builder::new_multi_thread()
            .worker_threads(half)
            .thread_name("live")
            .on_thread_start(stand_back)
            .enable_all()
            .build();
        if let Err(error) = &built {
            tracing::warn!(%error, "subscribers have no threads of their own and share those of requests");
        }
        Threads { runtime: built.ok(), requests: Handle::current() }
    }

    /// Runs a task behind all others.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.runtime.as_ref().map_or(&self.requests, Runtime::handle).spawn(task)
    }

    /// Where requests run, and what asks the database.
    pub(crate) fn requests(&self) -> &Handle {
        &self.requests
    }
}

/// The last one may be one of its own tasks, which cannot wait for itself.
impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Elsewhere than on Linux this would be said of the whole process.
fn stand_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "subscribers' threads could not be put behind others");
    }
}
