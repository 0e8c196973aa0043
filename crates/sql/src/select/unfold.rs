//! Lists as values: where a database has arrays and lateral joins, the lists of the outer levels are not put together as JSON there.
//!
//! To make JSON of rows takes a database longer than to find them. So a list of the top level comes as an array for each of its
//! columns, of which whoever reads the result makes JSON on its way. Where that list's rows have lists of their own, they are joined
//! to the row around them instead (the result is flat: [`Below`]), and the arrays are those of the innermost list. What stands in
//! a row that is repeated is short and of columns alone, or it would be sent too often: then the list comes as arrays with
//! JSON in them.

use std::fmt::Write as _;

use mainstay_lang::schema::{ColumnId, RelationId, Schema, TableId};
use mainstay_lang::types::Type;

use super::nested::has_list;
use super::{is_conditional, json};
use crate::dialect::Counted;
use crate::expr::Relatives;
use crate::plan::{Output, OutputKind, Select};
use crate::statement::{Below, Encoding, JsonMember, Level};
use crate::writer::{ScopeId, Writer};

/// Most bytes of a row that is sent once for each row that stands in it.
const REPEATED_BYTES_MAX: u32 = 512;

/// Most columns of a row that comes as values: a result has room for some more than a thousand.
const COLUMNS_MAX: usize = 200;

/// What a value takes that is not text, in bytes, roughly.
const VALUE_BYTES: u32 = 16;

/// What a select has beside its own rows and columns.
#[derive(Default)]
pub(super) struct Unfolded {
    /// Lateral joins, each with a space before it.
    pub(super) joins: String,
    /// The levels of a flat result.
    pub(super) below: Option<Below>,
    /// Columns written so far.
    columns: usize,
}

impl Unfolded {
    /// Begins a column: what separates it from the one before, and its index.
    pub(super) fn column(&mut self, w: &mut Writer<'_>) -> usize {
        if self.columns > 0 {
            w.text(", ");
        }
        self.columns += 1;
        self.columns - 1
    }
}

impl Writer<'_> {
    /// The columns of one level, `is_kept` being the condition under which what is nested in its row is read.
    pub(super) fn level_columns(
        &mut self,
        select: &Select,
        scope: ScopeId,
        is_kept: Option<&str>,
        unfolded: &mut Unfolded,
    ) -> Vec<JsonMember> {
        let below = list_below(self, select);
        let outputs = select.outputs.iter().enumerate();
        let members = outputs.map(|(index, output)| {
            if below == Some(index) {
                return member(output, Encoding::Below);
            }
            if let OutputKind::Many { relation, select: rows } = &output.kind
                && self.dialect.has_arrays()
                && output.guard.is_none()
                && comes_as_arrays(rows)
                && unfolded.columns <= COLUMNS_MAX
            {
                let tied = self.tied(scope, select.table, *relation, is_kept);
                return member(output, self.arrays(tied, rows, unfolded));
            }
            self.level_column(select, output, scope, is_kept, unfolded)
        });
        members.collect()
    }

    /// One column, with its guard before it.
    fn level_column(
        &mut self,
        select: &Select,
        output: &Output,
        scope: ScopeId,
        is_kept: Option<&str>,
        unfolded: &mut Unfolded,
    ) -> JsonMember {
        let presence = self.alone(scope, |w| w.presence(scope, select.table, output));
        if let Some(presence) = &presence {
            unfolded.column(self);
            self.text(presence);
        }
        unfolded.column(self);
        let conditions: Vec<&str> = is_kept.into_iter().chain(presence.as_deref()).collect();
        if let OutputKind::Column(column) = &output.kind {
            self.scope_column(scope, *column);
        } else if conditions.is_empty() {
            self.alone(scope, |w| w.nested(scope, select.table, &output.kind));
        } else {
            self.text("CASE WHEN ");
            self.separated(" AND ", conditions, Writer::text);
            self.text(" THEN ");
            self.alone(scope, |w| w.nested(scope, select.table, &output.kind));
            self.text(" END");
        }
        member(output, encoding(self.schema, select.table, output))
    }

    /// The rows of a relation, none where its row is not kept.
    fn tied(
        &mut self,
        parent: ScopeId,
        table: TableId,
        relation: RelationId,
        is_kept: Option<&str>,
    ) -> Relatives {
        let mut rows = self.relatives_of(parent, table, relation);
        if let Some(is_kept) = is_kept {
            rows.tie += " AND ";
            rows.tie += is_kept;
        }
        rows
    }

    /// A list as arrays: their columns, and the join that makes them.
    fn arrays(&mut self, rows: Relatives, select: &Select, unfolded: &mut Unfolded) -> Encoding {
        let shown = self.scope(&rows.alias, rows.target, None);
        let alias = self.alias();
        let mut arrays = String::new();
        self.lists_around += 1;
        for (index, output) in select.outputs.iter().enumerate() {
            let value = self.capture(|w| w.alone(shown, |w| w.nested(shown, select.table, &output.kind)));
            let comma = if index == 0 { "" } else { ", " };
            write!(arrays, "{comma}array_agg({value}) AS c{index}").expect("writing to memory cannot fail");
            unfolded.column(self);
            self.text(&format!("{alias}.c{index}"));
        }
        self.lists_around -= 1;
        let source = self.scope(&rows.alias, rows.target, rows.key.clone());
        let projection = self.capture(|w| w.projection(shown, source));
        self.counts_rows = true;
        unfolded.joins += &self.capture(|w| {
            w.text(" CROSS JOIN LATERAL (SELECT ");
            w.text(&arrays);
            w.text(" FROM ");
            w.cut_rows(select, &rows, source, &projection);
            w.text(" HAVING (");
            w.text(w.dialect.list_counter(Counted::WhenLong));
            w.text(") IS NULL) ");
            w.text(&alias);
        });
        let outputs = select.outputs.iter();
        let members = outputs.map(|output| member(output, encoding(self.schema, select.table, output)));
        Encoding::Arrays(members.collect())
    }

    /// The columns of the levels of a flat result below the top level, and the joins that bring them.
    pub(super) fn levels_below(
        &mut self,
        select: &Select,
        scope: ScopeId,
        is_kept: Option<&str>,
        unfolded: &mut Unfolded,
    ) {
        let Some(list) = list_below(self, select) else { return };
        let key = unfolded.column(self);
        self.scope_column(scope, ColumnId::ID);
        let mut levels = Vec::new();
        self.level_below((scope, is_kept), (select, list), &mut levels, unfolded);
        unfolded.below = Some(Below { key, levels });
    }

    fn level_below(
        &mut self,
        (parent, is_kept): (ScopeId, Option<&str>),
        (above, list): (&Select, usize),
        levels: &mut Vec<Level>,
        unfolded: &mut Unfolded,
    ) {
        let OutputKind::Many { relation, select } = &above.outputs[list].kind else { return };
        let rows = self.tied(parent, above.table, *relation, is_kept);
        let shown = self.scope(&rows.alias, rows.target, None);
        let key = unfolded.column(self);
        self.scope_column(shown, ColumnId::ID);
        let joins_before = std::mem::take(&mut unfolded.joins);
        let members = self.level_columns(select, shown, None, unfolded);
        levels.push(Level { key, first: key + 1, members });
        if let Some(list) = list_below(self, select) {
            self.level_below((shown, None), (select, list), levels, unfolded);
        }
        let joins_inside = std::mem::replace(&mut unfolded.joins, joins_before);
        // What is shown of the rows is known only now.
        let source = self.scope(&rows.alias, rows.target, rows.key.clone());
        let projection = self.capture(|w| w.projection(shown, source));
        unfolded.joins += &self.capture(|w| {
            w.text(" LEFT JOIN LATERAL ");
            w.cut_rows(select, &rows, source, &projection);
            w.text(" ON TRUE");
        });
        unfolded.joins += &joins_inside;
    }
}

/// The list whose rows are joined to those of a select: which of its outputs.
fn list_below(w: &Writer<'_>, select: &Select) -> Option<usize> {
    if !w.dialect.has_arrays() || select.outputs.iter().any(|output| output.guard.is_some()) {
        return None;
    }
    let mut bytes = 0;
    let mut list = None;
    for (index, output) in select.outputs.iter().enumerate() {
        match &output.kind {
            OutputKind::Column(column) => {
                let ty = &w.schema.table(select.table).column(*column).ty;
                bytes += value_bytes(w.schema.storage_type(ty))?;
            }
            OutputKind::Many { select: rows, .. }
                if list.is_none() && has_list(rows) && rows.outputs.len() <= COLUMNS_MAX =>
            {
                list = Some(index);
            }
            _ => return None,
        }
    }
    list.filter(|_| bytes <= REPEATED_BYTES_MAX)
}

/// The bytes that a value takes at most, roughly; none: nobody knows.
fn value_bytes(ty: &Type) -> Option<u32> {
    match ty {
        Type::Text { max } => *max,
        Type::Json | Type::List(_) | Type::Bytes => None,
        _ => Some(VALUE_BYTES),
    }
}

/// Whether every row of a list has the same members, so that they can be told apart by their place.
fn comes_as_arrays(select: &Select) -> bool {
    (1..=COLUMNS_MAX).contains(&select.outputs.len()) && !select.outputs.iter().any(is_conditional)
}

fn member(output: &Output, encoding: Encoding) -> JsonMember {
    JsonMember { key: json::member_key(&output.name), encoding, guarded: is_conditional(output) }
}

fn encoding(schema: &Schema, table: TableId, output: &Output) -> Encoding {
    match &output.kind {
        OutputKind::Column(column) => {
            let ty = &schema.table(table).column(*column).ty;
            Encoding::Typed(schema.storage_type(ty).clone())
        }
        _ => Encoding::Raw,
    }
}
