//! What plugins do once their app is open: read what they keep in memory, begin to follow what changes it.
//!
//! A short command does it as well as a server, so that both see the same.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Error;

type Done = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// What is called when an app is open, in the order of the plugins.
#[derive(Default)]
pub(crate) struct OnOpen(Vec<Opener>);

struct Opener {
    plugin: Arc<str>,
    run: Box<dyn Fn(Arc<Engine>) -> Done + Send + Sync>,
}

impl OnOpen {
    pub(super) fn add<F, Fut>(&mut self, plugin: &Arc<str>, run: F)
    where
        F: Fn(Arc<Engine>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let run = Box::new(move |engine| -> Done { Box::pin(run(engine)) });
        self.0.push(Opener { plugin: plugin.clone(), run });
    }
}

impl Engine {
    /// Lets each plugin do what it does once the app is open: to be called once, inside a runtime, before anything is asked.
    ///
    /// # Errors
    /// The first one of a plugin.
    pub async fn start(self: &Arc<Engine>) -> Result<(), Error> {
        let openers = self.parts().get::<OnOpen>().map_or(&[][..], |openers| &openers.0);
        for Opener { plugin, run } in openers {
            run(self.clone()).await.inspect_err(|error| {
                tracing::error!(plugin = &**plugin, %error, "a plugin cannot begin");
            })?;
        }
        Ok(())
    }
}
