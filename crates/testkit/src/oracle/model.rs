//! An app and a request as structures that can be made smaller piece by piece.

use crate::phrase::Phrase;

/// The text of an app, table by table.
#[derive(Clone, Debug, Default)]
pub struct App {
    /// The capability that it uses, if any.
    pub uses: Option<&'static str>,
    /// Its tables.
    pub tables: Vec<TableText>,
    /// Whether rules are kept in data as well.
    pub keeps_rules: bool,
}

/// One table.
#[derive(Clone, Debug)]
pub struct TableText {
    /// Its name.
    pub name: String,
    /// Whether the platform declares it and this adds to it.
    pub extends: bool,
    /// Whether its rows belong to a tenant.
    pub tenant: bool,
    /// Columns, relations, rules: each on a line of its own.
    pub lines: Vec<Line>,
}

/// One line of a table.
#[derive(Clone, Debug)]
pub enum Line {
    /// A column, a relation or an order.
    Text(String),
    /// A rule.
    Rule {
        /// `allow read(title)`
        head: String,
        /// What stands behind `if`.
        condition: Option<Phrase>,
    },
    /// A `check` or `warn` line.
    Check {
        /// Which.
        word: &'static str,
        /// What must not be false.
        condition: Phrase,
        /// What is said when it is.
        message: String,
    },
}

impl Line {
    /// The line as it stands in the file.
    pub(super) fn text(&self) -> String {
        match self {
            Line::Text(text) => text.clone(),
            Line::Rule { head, condition: None } => head.clone(),
            Line::Rule { head, condition: Some(condition) } => format!("{head} if {}", condition.text()),
            Line::Check { word, condition, message } => format!("{word} {} \"{message}\"", condition.text()),
        }
    }

    /// The line with less in its condition.
    fn smaller(&self) -> Vec<Line> {
        match self {
            Line::Text(_) | Line::Rule { condition: None, .. } => Vec::new(),
            Line::Rule { head, condition: Some(condition) } => {
                let smaller = condition.smaller().into_iter().map(Some);
                let conditions = std::iter::once(None).chain(smaller);
                conditions.map(|condition| Line::Rule { head: head.clone(), condition }).collect()
            }
            Line::Check { word, condition, message } => {
                let smaller = condition.smaller().into_iter();
                smaller.map(|condition| Line::Check { word, condition, message: message.clone() }).collect()
            }
        }
    }
}

impl App {
    /// The text, and which line of which table each of its lines is.
    pub fn text(&self) -> (String, Vec<Option<(usize, usize)>>) {
        let (mut out, mut places) = (String::new(), Vec::new());
        let rules = self.keeps_rules.then_some("rules");
        let uses: Vec<&str> = self.uses.into_iter().chain(rules).collect();
        if !uses.is_empty() {
            out.push_str(&format!("use {}\n", uses.join(", ")));
            places.push(None);
        }
        for (table_at, table) in self.tables.iter().enumerate() {
            let word = if table.extends { "extend" } else { "table" };
            let tenant = if table.tenant { " (tenant)" } else { "" };
            out.push_str(&format!("{word} {}{tenant} {{\n", table.name));
            places.push(None);
            for (line_at, line) in table.lines.iter().enumerate() {
                out.push_str(&format!("  {}\n", line.text()));
                places.push(Some((table_at, line_at)));
            }
            out.push_str("}\n");
            places.push(None);
        }
        (out, places)
    }

    /// Apps with a piece less, or a smaller one.
    pub fn smaller(&self) -> Vec<App> {
        let mut found = Vec::new();
        if self.keeps_rules {
            found.push(App { keeps_rules: false, ..self.clone() });
        }
        for at in 0..self.tables.len() {
            let mut copy = self.clone();
            copy.tables.remove(at);
            found.push(copy);
        }
        for at in (0..self.tables.len()).filter(|at| self.tables[*at].tenant) {
            let mut copy = self.clone();
            copy.tables[at].tenant = false;
            found.push(copy);
        }
        for (table_at, table) in self.tables.iter().enumerate() {
            for line_at in 0..table.lines.len() {
                let mut copy = self.clone();
                copy.tables[table_at].lines.remove(line_at);
                found.push(copy);
            }
        }
        for (table_at, table) in self.tables.iter().enumerate() {
            for (line_at, line) in table.lines.iter().enumerate() {
                for smaller in line.smaller() {
                    let mut copy = self.clone();
                    copy.tables[table_at].lines[line_at] = smaller;
                    found.push(copy);
                }
            }
        }
        found
    }
}

/// JSON in which expressions keep their structure.
#[derive(Clone, Debug)]
pub enum Doc {
    /// An object.
    Object(Vec<(String, Doc)>),
    /// An array.
    Array(Vec<Doc>),
    /// Anything else, and whatever is not made smaller inside.
    Json(serde_json::Value),
    /// The text of an expression.
    Phrase(Phrase),
}

impl Doc {
    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Doc::Object(members) => {
                members.iter().map(|(name, member)| (name.clone(), member.json())).collect()
            }
            Doc::Array(items) => items.iter().map(Doc::json).collect(),
            Doc::Json(value) => value.clone(),
            Doc::Phrase(phrase) => phrase.text().into(),
        }
    }

    /// From JSON, as far as its structure goes.
    pub fn of(json: &serde_json::Value) -> Doc {
        match json {
            serde_json::Value::Object(members) => {
                Doc::Object(members.iter().map(|(name, member)| (name.clone(), Doc::of(member))).collect())
            }
            serde_json::Value::Array(items) => Doc::Array(items.iter().map(Doc::of).collect()),
            other => Doc::Json(other.clone()),
        }
    }

    /// Documents with a piece less.
    pub fn smaller(&self) -> Vec<Doc> {
        let mut found = Vec::new();
        match self {
            Doc::Object(members) => {
                for at in 0..members.len() {
                    let mut copy = members.clone();
                    copy.remove(at);
                    found.push(Doc::Object(copy));
                }
                for (at, (_, member)) in members.iter().enumerate() {
                    for smaller in member.smaller() {
                        let mut copy = members.clone();
                        copy[at].1 = smaller;
                        found.push(Doc::Object(copy));
                    }
                }
            }
            Doc::Array(items) => {
                for at in 0..items.len() {
                    let mut copy = items.clone();
                    copy.remove(at);
                    found.push(Doc::Array(copy));
                }
                for (at, item) in items.iter().enumerate() {
                    for smaller in item.smaller() {
                        let mut copy = items.clone();
                        copy[at] = smaller;
                        found.push(Doc::Array(copy));
                    }
                }
            }
            Doc::Json(_) => {}
            Doc::Phrase(phrase) => found.extend(phrase.smaller().into_iter().map(Doc::Phrase)),
        }
        found
    }
}
