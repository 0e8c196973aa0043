//! What commands say: words for people on standard error, results on standard output.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context, Result};
use serde_json::Value;

/// Where a command speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// One JSON document on standard output instead of text.
    pub(crate) json: bool,
}

impl Output {
    /// The command's result: `document` with `--json`, else `text`.
    pub(crate) fn result(self, text: &str, document: &Value) -> Result<()> {
        if self.json { self.line(&document.to_string()) } else { self.line(text) }
    }

    /// A line on standard output.
    pub(crate) fn line(self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{text}") {
            // The reader has seen enough (`| head`): nothing is wrong.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            done => done.context("writing to standard output"),
        }
    }

    /// Words for people.
    pub(crate) fn say(self, text: impl AsRef<str>) {
        // Nobody can be told that standard error is gone.
        drop(writeln!(std::io::stderr().lock(), "{}", text.as_ref()));
    }

    /// Whether words for people may be coloured.
    pub(crate) fn color(self) -> bool {
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
    }
}

/// What was typed is wrong in itself, whatever the app and its data are: exit status 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
