//! What the checker says about an expression of a request, as an error of the request.

use mainstay_lang::diagnostic::Diagnostic;

use crate::error::{Error, FieldError, Key};

/// The error for a text at `path` in which something was found.
pub(crate) fn error(path: &str, text: &str, found: &[Diagnostic]) -> Error {
    let errors: Vec<FieldError> = found
        .iter()
        .map(|problem| FieldError {
            path: path.to_owned(),
            key: problem.code.to_owned(),
            message: words(text, problem),
        })
        .collect();
    let detail = errors.first().map(|error| error.message.clone()).unwrap_or_default();
    Error { errors, ..Error::new(Key::Expression, detail) }
}

/// A problem in words, with its place in the text.
pub(crate) fn words(text: &str, problem: &Diagnostic) -> String {
    let place = text.get(..problem.span.start as usize).map_or(0, |before| before.chars().count());
    let help = problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("at character {}: {}{help}", place + 1, problem.message)
}
