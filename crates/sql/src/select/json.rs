//! Rows as JSON text, put together by the database.
//!
//! Text is joined by `concat`, which takes null for nothing: so a guarded member is simply not there, and every value that
//! could be null is made `null` by its own encoding. A hundred arguments is what every database takes.

use mainstay_lang::types::Type;

use super::is_conditional;
use crate::dialect::{Counted, JsonText, RowCounting};
use crate::plan::{Output, OutputKind, Select};
use crate::writer::{ScopeId, Writer};

/// Most arguments of one call.
const ARGUMENTS_MAX: usize = 100;

/// The mark in the template of an object for text that stands there as it is, and for nothing where it is null.
const ANY_JSON: &str = "*";

/// `"name":`
pub(crate) fn key(name: &str) -> String {
    let mut key = mainstay_lang::value::Value::Text(name.to_owned()).to_json();
    key.push(':');
    key
}

/// [`crate::statement::JsonMember::key`]
pub(crate) fn member_key(name: &str) -> Box<str> {
    format!(",{}", key(name)).into()
}

/// The arguments of a `concat`, neighbouring literals joined; or, `marked`, the template of an object with its values.
#[derive(Default)]
pub(crate) struct Pieces {
    done: Vec<Piece>,
    marked: bool,
}

enum Piece {
    Literal(String),
    Sql(String),
}

impl Pieces {
    pub(crate) fn literal(&mut self, text: &str) {
        match self.done.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Literal(last)) => last.push_str(text),
            _ => self.done.push(Piece::Literal(text.to_owned())),
        }
    }

    pub(crate) fn sql(&mut self, sql: String) {
        if self.marked {
            self.literal(ANY_JSON);
        }
        self.done.push(Piece::Sql(sql));
    }

    /// The JSON text of a value that the SQL `value` yields; quotes join the literals around it.
    pub(crate) fn value(&mut self, w: &mut Writer<'_>, ty: &Type, nullable: bool, value: &str) {
        let ty = w.schema.storage_type(ty);
        if let Some(mark) = w.dialect.object_mark(ty).filter(|_| self.marked) {
            self.literal(&mark);
            return self.done.push(Piece::Sql(value.to_owned()));
        }
        let text = w.dialect.json(ty);
        if self.marked {
            return self.sql(w.capture(|w| w.template(&text.template(nullable), |w, _| w.text(value))));
        }
        let (quote, template) = match text {
            JsonText::Quoted(text) if !nullable => ("\"", text),
            other => ("", other.template(nullable)),
        };
        self.literal(quote);
        self.sql(w.capture(|w| w.template(&template, |w, _| w.text(value))));
        self.literal(quote);
    }
}

impl Piece {
    fn text(&self) -> &str {
        match self {
            Piece::Literal(text) | Piece::Sql(text) => text,
        }
    }
}

/// Whether the first member of an object may be missing.
fn starts_guarded(select: &Select) -> bool {
    select.outputs.first().is_none_or(is_conditional)
}

impl Writer<'_> {
    /// The pieces as one text, in as many calls as their number asks for.
    pub(crate) fn concat(&mut self, pieces: &Pieces) {
        self.concat_slice(&pieces.done);
    }

    /// The same by an operator that every release has.
    pub(crate) fn joined_pieces(&mut self, pieces: &Pieces) {
        self.text("(");
        self.separated(" || ", &pieces.done, |w, piece| match piece {
            Piece::Literal(text) => w.quoted(text),
            Piece::Sql(sql) => w.text(sql),
        });
        self.text(")");
    }

    fn concat_slice(&mut self, pieces: &[Piece]) {
        self.text("concat(");
        if pieces.len() <= ARGUMENTS_MAX {
            self.separated(", ", pieces, |w, piece| match piece {
                Piece::Literal(text) => w.quoted(text),
                Piece::Sql(sql) => w.text(sql),
            });
        } else {
            let each = pieces.len().div_ceil(ARGUMENTS_MAX).max(ARGUMENTS_MAX);
            self.separated(", ", pieces.chunks(each), Writer::concat_slice);
        }
        self.text(")");
    }

    /// A nested row as an object, with what counts it.
    pub(crate) fn object(&mut self, select: &Select, scope: ScopeId, counting: Option<RowCounting>) {
        let mut pieces = Pieces::default();
        let is_whole = !starts_guarded(select);
        self.members(&mut pieces, select, scope);
        match counting {
            None => {}
            // It joins the brace behind it: a piece less for each row.
            Some(RowCounting::Mark(mark)) => pieces.literal(mark),
            Some(RowCounting::Call(call)) => pieces.sql(call.to_owned()),
        }
        if is_whole {
            pieces.literal("}");
            return self.concat(&pieces);
        }
        // Nobody knows which member comes first in a row, so the comma before it is cut off.
        self.text("concat('{', substr(");
        self.concat(&pieces);
        self.text(", 2), '}')");
    }

    /// The rows of a list as an array of objects, by an aggregate of the database's own ([`Dialect::objects`]).
    ///
    /// [`Dialect::objects`]: crate::dialect::Dialect::objects
    pub(crate) fn objects(&mut self, aggregate: &str, select: &Select, scope: ScopeId) {
        let mut pieces = Pieces { marked: true, ..Pieces::default() };
        if !starts_guarded(select) && select.outputs.len() < ARGUMENTS_MAX {
            self.members(&mut pieces, select, scope);
            pieces.literal("}");
        } else {
            let object = self.capture(|w| w.object(select, scope, None));
            pieces.sql(object);
        }
        self.counts_rows = true;
        self.text(aggregate);
        self.text("(");
        let is_literal = |piece: &&Piece| matches!(piece, Piece::Literal(_));
        let (literals, values): (Vec<&Piece>, Vec<&Piece>) = pieces.done.iter().partition(is_literal);
        let template: String = literals.into_iter().map(Piece::text).collect();
        self.quoted(&template);
        for value in values {
            self.text(", ");
            self.text(value.text());
        }
        self.text(")");
    }

    /// `{` and the members, with a comma before the first one where that may be missing.
    fn members(&mut self, pieces: &mut Pieces, select: &Select, scope: ScopeId) {
        let is_whole = !starts_guarded(select);
        if is_whole {
            pieces.literal("{");
        }
        for (index, output) in select.outputs.iter().enumerate() {
            let comma = if index == 0 && is_whole { "" } else { "," };
            self.member(pieces, comma, select, output, scope);
        }
    }

    fn member(&mut self, pieces: &mut Pieces, comma: &str, select: &Select, output: &Output, scope: ScopeId) {
        let name = format!("{comma}{}", key(&output.name));
        let Some(presence) = self.presence(scope, select.table, output) else {
            pieces.literal(&name);
            return self.member_value(pieces, select, output, scope);
        };
        let mut guarded = Pieces::default();
        guarded.literal(&name);
        self.member_value(&mut guarded, select, output, scope);
        pieces.sql(self.capture(|w| {
            w.text("CASE WHEN ");
            w.text(&presence);
            w.text(" THEN ");
            w.concat(&guarded);
            w.text(" END");
        }));
    }

    fn member_value(&mut self, pieces: &mut Pieces, select: &Select, output: &Output, scope: ScopeId) {
        if let OutputKind::Column(id) = &output.kind {
            let column = self.schema.table(select.table).column(*id);
            let value = self.capture(|w| w.scope_column(scope, *id));
            return pieces.value(self, &column.ty, column.nullable, &value);
        }
        let nested = self.capture(|w| w.nested(scope, select.table, &output.kind));
        match &output.kind {
            OutputKind::One { .. } => pieces.sql(format!("coalesce({nested}, 'null')")),
            _ => pieces.sql(nested),
        }
    }

    /// The end of `concat('[', string_agg(…`, behind a list's rows.
    pub(crate) fn end_list(&mut self, counted: Counted) {
        self.counts_rows = true;
        self.text(", ','), ");
        self.text(self.dialect.list_counter(counted));
        self.text(", ']')");
    }
}
