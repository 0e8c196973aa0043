//! Nested reads: one statement at any depth.
//!
//! The top level comes back as plain columns, because its values need no escaping on the way. Everything nested is
//! a correlated scalar subselect that yields JSON text: a to-one relation an object, a to-many an array whose rows are
//! found, ordered and cut in a derived table of just the columns that are read, and turned to text only then, so
//! that rows beyond a limit cost nothing and are not counted.

pub(crate) mod json;
mod keyset;
mod nested;
mod order;

use mainstay_lang::schema::{ColumnId, Schema};

use crate::dialect::Dialect;
use crate::plan::{Output, OutputKind, Select};
use crate::statement::{CursorShape, Encoding, JsonMember, JsonShape, ResultShape, Statement};
use crate::writer::{ScopeId, Writer};

/// A read of any depth; its result is [`ResultShape::Json`].
pub fn select(schema: &Schema, dialect: &dyn Dialect, select: &Select) -> Statement {
    let mut w = Writer::new(schema, dialect);
    let alias = w.alias();
    let shown = w.scope(&alias, select.table, None);
    let columns = w.capture(|w| w.alone(shown, |w| w.top_level_columns(select, shown)));
    let cap = dialect.row_cap().filter(|_| w.counts_rows);
    let bound = w.limit_bound(select);
    let is_cut_first =
        bound.is_some() || cap.is_some() || select.limit.is_some() && select.outputs.iter().any(is_nested);
    w.text("SELECT ");
    w.text(&columns);
    if is_cut_first {
        w.text(" FROM (SELECT ");
        w.projection(shown, shown);
        w.page_of(select, &alias);
        w.text(") ");
        w.text(&alias);
        if let Some(cap) = cap {
            w.text(" WHERE ");
            w.template(cap, |w, _| w.bind_row_cap());
        }
        // Rows are cut before what is nested in them is read. SQLite would merge the two levels, and read the nested parts
        // of rows that the sorter then drops; it does not where both have a limit.
        match bound {
            Some(_) => w.limit(select.limit.as_ref(), None, select.paged),
            None => w.text(dialect.unlimited()),
        }
    } else {
        w.page_of(select, &alias);
    }
    let limit = select.limit.as_ref().filter(|_| select.paged);
    let probes_more = limit.and_then(|limit| w.bind_index(limit));
    let row_cap = w.row_cap;
    w.finish(ResultShape::Json(JsonShape {
        members: select.outputs.iter().map(|output| member(schema, select, output)).collect(),
        cursor: select.paged.then(|| cursor_shape(schema, select)),
        probes_more,
        row_cap,
    }))
}

impl Writer<'_> {
    fn top_level_columns(&mut self, select: &Select, scope: ScopeId) {
        // What is nested is not read for nothing: not where it is not shown, nor for the row behind a page.
        let may_be_cut = select.paged && select.outputs.iter().any(is_nested);
        let is_kept = select.limit.as_ref().filter(|_| may_be_cut).map(|limit| {
            let limit = self.capture(|w| w.expr(limit));
            self.capture(|w| w.template(w.dialect.is_among_first(), |w, _| w.text(&limit)))
        });
        self.separated(", ", &select.outputs, |w, output| {
            let presence = w.presence(scope, select.table, output);
            if let Some(presence) = &presence {
                w.text(presence);
                w.text(", ");
            }
            if let OutputKind::Column(column) = &output.kind {
                return w.scope_column(scope, *column);
            }
            let conditions: Vec<&str> =
                [&is_kept, &presence].into_iter().flatten().map(String::as_str).collect();
            if conditions.is_empty() {
                return w.nested(scope, select.table, &output.kind);
            }
            w.text("CASE WHEN ");
            w.separated(" AND ", conditions, Writer::text);
            w.text(" THEN ");
            w.nested(scope, select.table, &output.kind);
            w.text(" END");
        });
        if select.paged {
            self.text(if select.outputs.is_empty() { "" } else { ", " });
            for item in &select.order {
                self.expr(&item.by);
                self.text(", ");
            }
            self.scope_column(scope, ColumnId::ID);
        }
    }

    /// ` FROM … WHERE … ORDER BY … LIMIT …` of a select at the top level.
    fn page_of(&mut self, select: &Select, alias: &str) {
        let scope = self.scope(alias, select.table, None);
        self.text(" FROM ");
        self.table(select.table, alias);
        self.conditions_to_find(scope, &select.filter);
        self.after(select, scope, select.filter.is_empty());
        self.order_by(&select.order, scope);
        match self.limit_bound(select) {
            Some(bound) => self.limit_to_bound(bound, select.offset.as_ref()),
            None => self.limit(select.limit.as_ref(), select.offset.as_ref(), select.paged),
        }
    }

    /// The columns that were read of `shown`, of the rows of `source`, under their own names.
    fn projection(&mut self, shown: ScopeId, source: ScopeId) {
        let columns = self.used(shown).to_vec();
        if columns.is_empty() {
            return self.text("1");
        }
        let table = self.table_of(shown);
        self.separated(", ", columns, |w, column| {
            w.scope_column(source, column);
            w.text(" AS ");
            w.identifier(&w.schema.table(table).column(column).db_name);
        });
    }
}

fn is_nested(output: &Output) -> bool {
    !matches!(output.kind, OutputKind::Column(_))
}

fn cursor_shape(schema: &Schema, select: &Select) -> CursorShape {
    let key = schema.key_type(select.table);
    let values = select.order.iter().map(|item| schema.storage_type(&item.by.ty)).chain([key]);
    CursorShape { tag: select.cursor_tag.as_str().into(), values: values.cloned().collect() }
}

fn member(schema: &Schema, select: &Select, output: &Output) -> JsonMember {
    let encoding = match &output.kind {
        OutputKind::Column(column) => {
            let ty = &schema.table(select.table).column(*column).ty;
            Encoding::Typed(schema.storage_type(ty).clone())
        }
        _ => Encoding::Raw,
    };
    JsonMember { key: json::key(&output.name).into(), encoding, guarded: is_conditional(output) }
}

/// Whether some rows lack the member: those of [`Writer::presence`].
pub(crate) fn is_conditional(output: &Output) -> bool {
    match &output.kind {
        OutputKind::Beside { select, count: false, next: true, .. } => {
            output.guard.is_some() || select.limit.is_some()
        }
        _ => output.guard.is_some(),
    }
}
