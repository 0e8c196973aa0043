//! From trees to a [`Schema`]: every name becomes an id, every expression is typed.
//!
//! Two passes, because order does not matter in an app: first tables, columns and relations of all files, then
//! everything that mentions them. `extend` adds its members to a table before the passes begin, so that nothing later
//! can tell where a member was written. When something is wrong the schema that comes out is only good for finding
//! more problems.

mod column;
mod constraint;
mod dataset;
mod declare;
mod member;
mod modifier;
mod relation;
mod rule;
mod setting;
mod stream;
mod types;
mod value;

pub(crate) use constraint::find_column;

use crate::diagnostic::Diagnostic;
use crate::naming;
use crate::schema::{ColumnId, RelationId, Schema, TableId};
use crate::source::Span;
use crate::syntax::{self, Name};

/// One file of the app.
pub(crate) struct Parsed {
    /// Its tree.
    pub(crate) tree: syntax::File,
    /// Whether the platform brought it.
    pub(crate) platform: bool,
}

/// Resolves and types all files.
pub(crate) fn resolve(files: &[Parsed]) -> (Schema, Vec<Diagnostic>) {
    let mut resolver =
        Resolver { files, problems: Vec::new(), schema: Schema::default(), drafts: Vec::new() };
    resolver.declare();
    resolver.columns();
    resolver.relations();
    resolver.constraints();
    resolver.values();
    resolver.rules();
    resolver.streams();
    resolver.datasets();
    resolver.settings();
    (resolver.schema, resolver.problems)
}

struct Resolver<'a> {
    files: &'a [Parsed],
    problems: Vec<Diagnostic>,
    schema: Schema,
    /// In the order of the schema's tables.
    drafts: Vec<Draft<'a>>,
}

/// A table as written, together with all that extends it.
struct Draft<'a> {
    name: &'a Name,
    declaration: &'a syntax::Table,
    is_stream: bool,
    members: Vec<&'a syntax::Member>,
    columns: Vec<(ColumnId, &'a syntax::Column)>,
    relations: Vec<(RelationId, &'a syntax::Column)>,
}

/// How a kind of name is written.
#[derive(Clone, Copy)]
enum Style {
    UpperCamel,
    SnakeCase,
}

impl<'a> Resolver<'a> {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.problems.push(diagnostic);
    }

    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::error(code, span, message));
    }

    /// An unknown name, with the nearest of those that there are.
    fn unknown<'c>(&mut self, name: &Name, message: String, candidates: impl IntoIterator<Item = &'c str>) {
        let diagnostic = Diagnostic::error("name.unknown", name.span, message);
        let help = naming::did_you_mean(&name.text, candidates);
        self.report(with_help(diagnostic, help));
    }

    /// Something declared a second time.
    fn duplicate(&mut self, span: Span, message: String, first: Span) {
        self.report(Diagnostic::error("name.duplicate", span, message).related(first, "the first one"));
    }

    /// Every table with its members, to be walked while the schema changes.
    fn tables(&self) -> Vec<(TableId, Vec<&'a syntax::Member>)> {
        (0u32..).map(TableId).zip(self.drafts.iter().map(|draft| draft.members.clone())).collect()
    }

    fn table_names(&self) -> Vec<String> {
        self.drafts.iter().map(|draft| draft.name.text.clone()).collect()
    }

    /// The table of a name, or an error that offers the nearest one.
    fn table_id(&mut self, name: &Name) -> Option<TableId> {
        if let Some(id) = self.schema.table_names.get(&name.text) {
            return Some(*id);
        }
        let names = self.table_names();
        self.unknown(name, format!("there is no table `{}`", name.text), names.iter().map(String::as_str));
        None
    }

    /// Whether a name is written as its kind asks; says so when not.
    fn style(&mut self, what: &str, name: &Name, style: Style) {
        let (good, wanted, suggestion) = match style {
            Style::UpperCamel => {
                (naming::is_upper_camel(&name.text), "UpperCamel", naming::to_upper_camel(&name.text))
            }
            Style::SnakeCase => {
                (naming::is_snake_case(&name.text), "snake_case", naming::to_snake_case(&name.text))
            }
        };
        if !good {
            let message = format!("the name of {what} is written in {wanted}");
            let help = (!suggestion.is_empty()).then(|| format!("write `{suggestion}`"));
            self.report(with_help(Diagnostic::error("name.style", name.span, message), help));
        } else if name.text.len() > naming::NAME_BYTES_MAX {
            let message = format!("a name has at most {} characters", naming::NAME_BYTES_MAX);
            self.error("name.style", name.span, message);
        }
    }

    /// What two names in the database must differ in. Not every database tells cases apart; one that others made has what it has.
    fn told_apart(&self, db_name: &str) -> String {
        if self.schema.existing { db_name.to_owned() } else { db_name.to_ascii_lowercase() }
    }

    /// The name that an author gave for the database, when it can be one.
    fn db_name(&mut self, text: &syntax::Text) -> Option<String> {
        let problem = if text.text.is_empty() {
            "a name in the database cannot be empty".to_owned()
        } else if text.text.len() > naming::NAME_BYTES_MAX {
            format!("a name in the database has at most {} bytes", naming::NAME_BYTES_MAX)
        } else if text.text.chars().any(char::is_control) {
            "a name in the database has no control characters".to_owned()
        } else {
            return Some(text.text.clone());
        };
        self.error("name.style", text.span, problem);
        None
    }
}

pub(crate) fn with_help(diagnostic: Diagnostic, help: Option<String>) -> Diagnostic {
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}
