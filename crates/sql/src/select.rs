//! Nested reads: one statement at any depth.
//!
//! The top level comes back as plain columns, because its values need no escaping on the way. Everything nested is
//! a correlated scalar subselect that yields JSON text: a to-one relation an object, a to-many an array whose rows are
//! found, ordered and cut in a derived table of just the columns that are read, and turned to text only then, so
//! that rows beyond a limit cost nothing and are not counted. Where the database can, lists of the outer levels come as
//! values, too: see `unfold`.

pub(crate) mod json;
mod keyset;
mod nested;
mod order;
mod unfold;

use mainstay_lang::schema::{ColumnId, Schema};

use self::unfold::Unfolded;
use crate::dialect::Dialect;
use crate::plan::{Output, OutputKind, Select};
use crate::statement::{CursorShape, JsonMember, JsonShape, Length, ResultShape, Statement};
use crate::writer::{ScopeId, Writer};

/// A read of any depth; its result is [`ResultShape::Json`].
pub fn select(schema: &Schema, dialect: &dyn Dialect, select: &Select) -> Statement {
    let mut w = Writer::new(schema, dialect);
    let alias = w.alias();
    let shown = w.scope(&alias, select.table, None);
    let mut unfolded = Unfolded::default();
    let mut members = Vec::new();
    let columns = w.capture(|w| members = w.top_level_columns(select, shown, &mut unfolded));
    let cap = dialect.row_cap().filter(|_| w.counts_rows);
    let bound = w.limit_bound(select);
    let is_flat = unfolded.below.is_some();
    let is_cut_first = bound.is_some()
        || cap.is_some()
        || !unfolded.joins.is_empty()
        || select.limit.is_some() && select.outputs.iter().any(is_nested);
    w.text("SELECT ");
    w.text(&columns);
    if is_cut_first {
        w.text(" FROM ");
        w.page(select, shown, &alias, is_flat && bound.is_some());
        w.text(&unfolded.joins);
        if let Some(cap) = cap {
            w.text(" WHERE ");
            w.template(cap, |w, _| w.bind_row_cap());
        }
        // Rows are cut before what is nested in them is read. SQLite would merge the two levels, and read the nested parts
        // of rows that the sorter then drops; it does not where both have a limit.
        match bound {
            // A limit around joins would have the database choose the way to its first rows. Whoever reads a flat result counts.
            _ if is_flat => {}
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
        members,
        cursor: select.paged.then(|| cursor_shape(schema, select)),
        probes_more,
        row_cap,
        below: unfolded.below,
        length: Length::default(),
    }))
}

impl Writer<'_> {
    fn top_level_columns(
        &mut self,
        select: &Select,
        scope: ScopeId,
        unfolded: &mut Unfolded,
    ) -> Vec<JsonMember> {
        // What is nested is not read for nothing: not where it is not shown, nor for the row behind a page.
        let is_kept = select.limit.as_ref().filter(|_| has_row_behind(select)).map(|limit| {
            let limit = self.capture(|w| w.alone(scope, |w| w.expr(limit)));
            let alias = self.alias_of(scope).to_owned();
            self.capture(|w| {
                w.template(w.dialect.is_among_first(), |w, at| w.text(if at == 0 { &limit } else { &alias }));
            })
        });
        let members = self.level_columns(select, scope, is_kept.as_deref(), unfolded);
        if select.paged {
            for item in &select.order {
                unfolded.column(self);
                self.alone(scope, |w| w.expr(&item.by));
            }
            unfolded.column(self);
            self.scope_column(scope, ColumnId::ID);
        }
        self.levels_below(select, scope, is_kept.as_deref(), unfolded);
        members
    }

    /// A derived table of the rows of the top level, limited wholly if what is joined to them makes them more.
    fn page(&mut self, select: &Select, shown: ScopeId, alias: &str, is_limited_here: bool) {
        let number = self.dialect.row_number().filter(|_| has_row_behind(select));
        if let Some(number) = number {
            self.text("(SELECT *, ");
            self.text(number);
            self.text(" FROM ");
        }
        self.text(if is_limited_here { "(SELECT * FROM (SELECT " } else { "(SELECT " });
        self.projection(shown, shown);
        self.page_of(select, alias);
        if is_limited_here {
            self.text(") ");
            self.text(alias);
            self.limit(select.limit.as_ref(), None, select.paged);
        }
        self.text(") ");
        self.text(alias);
        if number.is_some() {
            self.text(") ");
            self.text(alias);
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

/// Whether a row may be found behind the page, and what is nested in it is not to be read.
fn has_row_behind(select: &Select) -> bool {
    select.paged && select.limit.is_some() && select.outputs.iter().any(is_nested)
}

fn is_nested(output: &Output) -> bool {
    !matches!(output.kind, OutputKind::Column(_))
}

fn cursor_shape(schema: &Schema, select: &Select) -> CursorShape {
    let key = schema.key_type(select.table);
    let values = select.order.iter().map(|item| schema.storage_type(&item.by.ty)).chain([key]);
    CursorShape { tag: select.cursor_tag.as_str().into(), values: values.cloned().collect() }
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
