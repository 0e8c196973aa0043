//! Lines in cells, and how cells of neighbouring lines are put below each other.
//!
//! Knows nothing of the language beyond which kinds of line there are. A cell that is much longer than its neighbours
//! pushes the rest of its own line to the right and nobody else's.

/// A line of the result.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) class: Class,
    /// In spaces.
    pub(super) indent: usize,
    pub(super) blank_before: bool,
    /// Its text, in parts that may be aligned. Never empty.
    pub(super) cells: Vec<String>,
    /// A comment at its end.
    pub(super) comment: Option<String>,
}

/// What a line is. Runs of one class are aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Aligned with nothing.
    Plain,
    /// A table, stream, extension or dataset: a block at the top.
    Block,
    /// `}`
    Close,
    /// A comment or documentation.
    Comment,
    /// The rest of the line before.
    Continuation,
    /// `flag` and `setting`
    Value,
    Column,
    Allow,
    /// `check` and `warn`
    Check,
    /// `event` and `on`
    Event,
    /// `allow`, `require`, `emit` of a command.
    Command,
    /// A table of a dataset.
    Reference,
}

impl Class {
    /// For each cell but the last: how long it may be to have a say in the alignment, and the gap behind it.
    fn cell(self, index: usize) -> (usize, usize) {
        match (self, index) {
            (Class::Column, 0) => (30, 2),
            (Class::Column, _) => (20, 2),
            (Class::Allow, _) => (40, 1),
            (Class::Check | Class::Command | Class::Value, 0) => (10, 1),
            (Class::Check | Class::Command | Class::Value, _) => (50, 2),
            (Class::Event, _) => (40, 1),
            (Class::Reference, _) => (30, 2),
            _ => (0, 2),
        }
    }

    /// Whether such a line stands between aligned ones without separating them.
    fn is_transparent(self) -> bool {
        matches!(self, Class::Comment | Class::Continuation)
    }
}

/// How far to the right an aligned comment may begin.
const COMMENT_COLUMN_MAX: usize = 90;

/// The lines as text.
pub(super) fn write(lines: &[Line]) -> String {
    let mut texts: Vec<String> = vec![String::new(); lines.len()];
    let mut start = 0;
    while start < lines.len() {
        let end = run_end(lines, start);
        let run: Vec<usize> =
            (start..end).filter(|index| lines[*index].class == lines[start].class).collect();
        let widths = widths(lines, &run);
        for index in &run {
            texts[*index] = write_cells(&lines[*index], &widths);
        }
        for index in (start..end).filter(|index| !run.contains(index)) {
            texts[index] = write_cells(&lines[index], &[]);
        }
        start = end;
    }
    append_comments(lines, &mut texts);
    let mut out = String::new();
    for (line, text) in lines.iter().zip(texts) {
        if line.blank_before {
            out.push('\n');
        }
        out += &text;
        out.push('\n');
    }
    out
}

/// Where the run that begins with a line ends: at a blank line, or a line of another class.
fn run_end(lines: &[Line], start: usize) -> usize {
    let class = lines[start].class;
    if class.is_transparent() {
        return start + 1;
    }
    let goes_on = |line: &Line| !line.blank_before && (line.class == class || line.class.is_transparent());
    start + 1 + lines[start + 1..].iter().take_while(|line| goes_on(line)).count()
}

/// The width of each cell that something stands behind.
fn widths(lines: &[Line], run: &[usize]) -> Vec<usize> {
    let mut widths = Vec::new();
    for line in run.iter().map(|index| &lines[*index]) {
        for (index, cell) in line.cells.iter().enumerate().take(line.cells.len() - 1) {
            if widths.len() <= index {
                widths.push(0);
            }
            let width = cell.chars().count();
            if width <= line.class.cell(index).0 {
                widths[index] = widths[index].max(width);
            }
        }
    }
    widths
}

fn write_cells(line: &Line, widths: &[usize]) -> String {
    let mut out = " ".repeat(line.indent);
    for (index, cell) in line.cells.iter().enumerate() {
        out += cell;
        if index + 1 == line.cells.len() {
            break;
        }
        let (limit, gap) = line.class.cell(index);
        let width = cell.chars().count();
        // What is too long to be aligned keeps close, as there is nothing for the eye to follow.
        let padding = match widths.get(index) {
            Some(aligned) if width <= limit => aligned - width + gap,
            _ if line.class == Class::Column => 1,
            _ => gap,
        };
        out += &" ".repeat(padding);
    }
    out
}

/// Puts the comments at the ends of neighbouring lines below each other.
fn append_comments(lines: &[Line], texts: &mut [String]) {
    let width = |text: &String| text.chars().count();
    let mut start = 0;
    while start < lines.len() {
        let first = &lines[start];
        let goes_on = |line: &Line| {
            !line.blank_before
                && line.indent == first.indent
                && line.comment.is_some()
                && first.comment.is_some()
        };
        let end = start + 1 + lines[start + 1..].iter().take_while(|line| goes_on(line)).count();
        let short = texts[start..end].iter().map(width).filter(|width| *width + 2 <= COMMENT_COLUMN_MAX);
        let column = short.max().unwrap_or(0);
        for (line, text) in lines[start..end].iter().zip(&mut texts[start..end]) {
            if let Some(comment) = &line.comment {
                *text += &" ".repeat(column.saturating_sub(width(text)) + 2);
                *text += comment;
            }
        }
        start = end;
    }
}
