//! The one layout of a `.stay` file.
//!
//! Works on the tokens, guided by the tree: every token and comment of the author is written again, in order, so that
//! nothing can be lost; only white space and the commas between members are the formatter's own. Line breaks
//! inside an expression or list are the author's and stay. Formatting what has been formatted changes nothing.

mod align;
mod layout;
mod marks;

use crate::diagnostic::{Diagnostic, Severity};
use crate::lexer::lex;
use crate::parser::parse_file;

/// The text in its one layout. Text with syntax errors is refused with them; their spans are in file 0.
pub fn format(text: &str) -> Result<String, Vec<Diagnostic>> {
    let (file, mut problems) = parse_file(0, text);
    problems.retain(|problem| problem.severity == Severity::Error);
    if !problems.is_empty() {
        return Err(problems);
    }
    let lexed = lex(0, text);
    let marks = marks::Marks::of(&file, &lexed.tokens);
    let lines = layout::lines(text, &lexed, &marks);
    Ok(align::write(&lines))
}

#[cfg(test)]
mod tests;
