//! What plugins do when an app is open, before it serves.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::{Error, Key};

type Opening =
    Arc<dyn Fn(Arc<Engine>) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send + Sync>;

/// What is done, and by which plugin.
#[derive(Default)]
pub(super) struct Openings(pub(super) Vec<(Arc<str>, Opening)>);

impl Engine {
    /// Lets plugins do what they do before an app serves or works.
    ///
    /// # Errors
    /// The first error of one of them, with its name.
    pub async fn begin(self: &Arc<Self>) -> Result<(), Error> {
        let openings = self.parts().get::<Openings>().map(|openings| openings.0.clone()).unwrap_or_default();
        for (plugin, open) in openings {
            open(self.clone()).await.map_err(|error| {
                let words = error.internal.as_deref().unwrap_or(&error.detail);
                let internal =
                    format!("the plugin `{plugin}` could not begin: {}: {words}", error.key.title());
                Error { internal: Some(internal), ..Error::new(Key::HookFailed, "A plugin could not begin.") }
            })?;
        }
        Ok(())
    }
}
