//! The tree of a request or job behind the line of the log that ends it: one piece, whatever else is logged meanwhile.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::recorder::{Recorder, is_end};
use crate::recording::{Fields, Growing, Step, Told, Tree};

/// The text of a statement.
const SQL: &str = "db.query.text";

/// Fields that the line above the tree has said, or that are the same throughout.
const SAID_ABOVE: [&str; 6] =
    ["request_id", "trace_id", "span_id", "parent_span_id", "message", "db.system.name"];

/// Characters of one line.
const LINE_MAX: usize = 240;

/// How a line is written, and behind it the tree that it ends.
#[derive(Clone, Debug)]
pub struct WithTree<F> {
    line: F,
    recorder: Recorder,
    is_json: bool,
}

impl<F> WithTree<F> {
    /// Behind a line of text: lines that are indented.
    pub fn text(line: F, recorder: Recorder) -> WithTree<F> {
        WithTree { line, recorder, is_json: false }
    }

    /// In a line that is a JSON object: its member `tree`.
    pub fn json(line: F, recorder: Recorder) -> WithTree<F> {
        WithTree { line, recorder, is_json: true }
    }
}

impl<S, N, F> FormatEvent<S, N> for WithTree<F>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // An event may leave the span out of its line and end it all the same.
        let ended = || {
            context.event_scope().and_then(|mut around| around.next()).or_else(|| context.lookup_current())
        };
        let is_ended = self.recorder.is_shown() && is_end(event.metadata());
        let growing = if is_ended { ended() } else { None };
        let growing = growing.and_then(|span| span.extensions().get::<Growing>().cloned());
        let Some(growing) = growing.filter(|growing| growing.look(|tree, _| tree.steps.len() > 1)) else {
            return self.line.format_event(context, writer, event);
        };
        if self.is_json {
            let mut line = String::new();
            self.line.format_event(context, Writer::new(&mut line), event)?;
            let tree = growing.look(as_json);
            match line.trim_end().strip_suffix('}') {
                Some(members) => writeln!(writer, "{members},\"tree\":{tree}}}"),
                None => writer.write_str(&line),
            }
        } else {
            self.line.format_event(context, writer.by_ref(), event)?;
            writer.write_str(&growing.look(as_text))
        }
    }
}

/// The steps that are part of each.
fn parts(tree: &Tree) -> Vec<Vec<usize>> {
    let mut parts = vec![Vec::new(); tree.steps.len()];
    for (at, step) in tree.steps.iter().enumerate().skip(1) {
        parts[step.parent].push(at);
    }
    parts
}

/// When each begins and how long it takes, in milliseconds, and beside that what it is part of what.
fn as_text(tree: &Tree, now: Duration) -> String {
    let mut text = String::from("      from ms    for ms\n");
    let parts = parts(tree);
    // What is to be told next, with the lines that lead to it.
    let mut left = vec![(0, String::new(), "")];
    while let Some((at, lines, knee)) = left.pop() {
        let step = &tree.steps[at];
        let took = step.ended.map_or(now, |ended| ended).saturating_sub(step.begun);
        let open = if step.ended.is_none() && at > 0 { "…" } else { " " };
        // Writing to a string does not fail.
        let _ = write!(text, "{:13.3} {:9.3}{open} {lines}{knee}{}", ms(step.begun), ms(took), told(step));
        text.push('\n');
        let lines = match knee {
            "├─ " => format!("{lines}│  "),
            "└─ " => format!("{lines}   "),
            _ => lines,
        };
        let knees = parts[at].iter().enumerate().map(|(place, part)| {
            (*part, lines.clone(), if place + 1 == parts[at].len() { "└─ " } else { "├─ " })
        });
        let mut next: Vec<_> = knees.collect();
        next.reverse();
        left.extend(next);
    }
    if tree.left_out > 0 {
        let _ = writeln!(text, "{:>24} and {} steps more", "", tree.left_out);
    }
    text
}

/// A step on one line.
fn told(step: &Step) -> String {
    let mut text = step.name.to_owned();
    for (name, told) in fields(&step.fields) {
        if name != SQL {
            let name = name.rsplit('.').next().unwrap_or(name);
            text.push_str(&format!(" {name}={told}"));
        }
    }
    if let Some(sql) = step.fields.text(SQL) {
        text.push_str(": ");
        text.push_str(sql);
    }
    for note in &step.notes {
        text.push_str(&format!(" ! {}", note.fields.text("message").unwrap_or_default()));
    }
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LINE_MAX) {
        line.truncate(end);
        line.push('…');
    }
    line
}

fn fields(of: &Fields) -> impl Iterator<Item = (&'static str, &Told)> {
    of.0.iter().filter(|(name, _)| !SAID_ABOVE.contains(name)).map(|(name, told)| (*name, told))
}

fn as_json(tree: &Tree, now: Duration) -> Value {
    let parts = parts(tree);
    let mut made: Vec<Option<Value>> = vec![None; tree.steps.len()];
    // Each stands behind what it is part of.
    for (at, step) in tree.steps.iter().enumerate().rev() {
        let took = step.ended.unwrap_or(now).saturating_sub(step.begun);
        let mut object = Map::new();
        object.insert("name".to_owned(), json!(step.name));
        object.insert("from_ms".to_owned(), json!(ms(step.begun)));
        object.insert("for_ms".to_owned(), json!(ms(took)));
        if at > 0 {
            for (name, told) in fields(&step.fields) {
                object.insert(name.to_owned(), value(told));
            }
        }
        let notes: Vec<Value> =
            step.notes.iter().filter_map(|note| note.fields.text("message").map(Value::from)).collect();
        if !notes.is_empty() {
            object.insert("notes".to_owned(), Value::Array(notes));
        }
        let steps: Vec<Value> = parts[at].iter().filter_map(|part| made[*part].take()).collect();
        if !steps.is_empty() {
            object.insert("steps".to_owned(), Value::Array(steps));
        }
        made[at] = Some(Value::Object(object));
    }
    let mut root = made[0].take().unwrap_or_default();
    if tree.left_out > 0 {
        root["left_out"] = json!(tree.left_out);
    }
    root
}

fn value(told: &Told) -> Value {
    match told {
        Told::Text(text) => json!(text),
        Told::Int(number) => json!(number),
        Told::Float(number) => json!(number),
        Told::Bool(truth) => json!(truth),
    }
}

/// To the microsecond.
fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::{as_json, as_text};
    use crate::recording::{Fields, Growing, Told};

    fn fields(of: &[(&'static str, &str)]) -> Fields {
        Fields(of.iter().map(|(name, text)| (*name, Told::Text((*text).to_owned()))).collect())
    }

    fn tree() -> Growing {
        let root = Growing::begin("request", fields(&[("request_id", "r-1"), ("route", "/query")]));
        let execute = root.step("execute", Fields::default()).unwrap();
        let sql = [
            ("db.system.name", "sqlite"),
            ("db.query.text", "SELECT 1\n  FROM \"Note\""),
            ("error.type", "Deadline"),
        ];
        execute.step("sql", fields(&sql)).unwrap().end();
        execute.step("commit", Fields::default()).unwrap().end();
        execute.end();
        root.step("render", Fields::default()).unwrap();
        root
    }

    #[test]
    fn steps_stand_beneath_what_they_are_part_of() {
        let text = tree().look(as_text);
        let shown: Vec<String> = text.lines().skip(1).map(|line| line.chars().skip(23).collect()).collect();
        let expected = [
            "  request route=/query",
            "  ├─ execute",
            "  │  ├─ sql type=Deadline: SELECT 1 FROM \"Note\"",
            "  │  └─ commit",
            "… └─ render",
        ];
        assert_eq!(shown, expected);
        let tree = tree().look(as_json);
        assert_eq!(tree["steps"][0]["steps"][0]["db.query.text"], "SELECT 1\n  FROM \"Note\"");
        assert_eq!(tree["steps"][1]["name"], "render");
    }

    #[test]
    fn a_tree_is_bounded_and_says_how_much_it_has_left_out() {
        let root = Growing::begin("request", Fields::default());
        let long = "é".repeat(10_000);
        let told =
            (0..1010).filter(|_| root.step("sql", fields(&[("db.query.text", &long)])).is_some()).count();
        assert_eq!(told, 999);
        let text = root.look(as_text);
        assert!(text.ends_with(" and 11 steps more\n"), "{}", text.lines().last().unwrap());
        assert!(text.lines().all(|line| line.chars().count() < 300));
    }
}
