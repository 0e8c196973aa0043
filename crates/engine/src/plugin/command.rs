//! Commands that plugins add to the command line: `mainstay NAME APP [ARGS]`.
//!
//! Knows nothing of how a command line is read: words come in, text goes out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::ctx::Ctx;
use crate::engine::Engine;
use crate::error::Error;

/// What a command is called with.
pub struct CommandCall {
    /// The app.
    pub engine: Arc<Engine>,
    /// One who passes every rule, with the time that a command may take.
    pub ctx: Ctx,
    /// The words behind the app's folder.
    pub args: Vec<String>,
}

type Output = Pin<Box<dyn Future<Output = Result<String, Error>> + Send>>;

/// A command of a plugin.
#[derive(Clone)]
pub struct Command {
    /// Its name on the command line.
    pub name: String,
    /// One line for the help.
    pub about: String,
    run: Arc<dyn Fn(CommandCall) -> Output + Send + Sync>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Command({})", self.name)
    }
}

impl Command {
    /// A command that does this and says what it answers.
    pub fn new<F, Fut>(name: impl Into<String>, about: impl Into<String>, run: F) -> Command
    where
        F: Fn(CommandCall) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, Error>> + Send + 'static,
    {
        let run = Arc::new(move |call| -> Output { Box::pin(run(call)) });
        Command { name: name.into(), about: about.into(), run }
    }

    /// Runs it.
    ///
    /// # Errors
    /// Whatever it refuses.
    pub async fn run(&self, call: CommandCall) -> Result<String, Error> {
        (self.run)(call).await
    }
}
