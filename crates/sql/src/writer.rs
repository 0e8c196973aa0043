//! The statement being written: its text, its binds, and the rows that expressions can speak of.
//!
//! Every row in reach is a [`Scope`] with an alias of its own, unique in the statement, so that nothing shadows
//! anything. A scope remembers which of its columns were read: a derived table projects just those, and a link table is
//! joined to its target only when more than the key is asked for. Knows nothing of plans.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::mem;

use mainstay_lang::expr::{Expr, Node};
use mainstay_lang::schema::{ColumnId, Schema, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::dialect::Dialect;
use crate::statement::{Bind, ResultShape, Statement};

/// Of so many binds the same one is looked for; a literal behind them gets a number of its own, because comparing each
/// with all takes quadratic time, and a caller may write a list of any length.
const SHARED_BINDS_MAX: usize = 256;

/// Index of a scope in [`Writer::scopes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScopeId(usize);

/// A row that expressions can read.
#[derive(Debug)]
struct Scope {
    alias: String,
    table: TableId,
    /// SQL that equals the row's key without reading the row.
    key: Option<String>,
    /// SQL of columns that are others than the row has under its alias.
    given: Vec<(ColumnId, String)>,
    /// Columns that were read, the key not counted when `key` stands for it.
    used: Vec<ColumnId>,
}

/// A statement being written.
pub(crate) struct Writer<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) dialect: &'a dyn Dialect,
    sql: String,
    binds: Vec<Bind>,
    /// Where each parameter stands among the binds.
    params: HashMap<u32, usize>,
    aliases: usize,
    scopes: Vec<Scope>,
    /// The scopes that an expression sees, the innermost last.
    stack: Vec<ScopeId>,
    /// Whether the condition being written is one of several alternatives.
    pub(crate) is_alternative: bool,
    /// How many lists stand around what is being written.
    pub(crate) lists_around: usize,
    /// Whether the statement counts nested rows.
    pub(crate) counts_rows: bool,
    /// Where the cap on nested rows stands among the binds, once it was written.
    pub(crate) row_cap: Option<usize>,
    /// Whether values stand in the text: for scripts that people read, of an author's words and never a request's.
    pub(crate) inlines: bool,
    /// A bind that has no value outside of a request, met while inlining.
    pub(crate) unbound: Option<Bind>,
    /// The rows around a change, where the statement has them; else they are bound.
    pub(crate) images: Option<(ScopeId, ScopeId)>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(schema: &'a Schema, dialect: &'a dyn Dialect) -> Writer<'a> {
        let sql = String::with_capacity(256);
        Writer {
            schema,
            dialect,
            sql,
            binds: Vec::new(),
            params: HashMap::new(),
            aliases: 0,
            scopes: Vec::new(),
            stack: Vec::new(),
            is_alternative: false,
            lists_around: 0,
            counts_rows: false,
            row_cap: None,
            inlines: false,
            unbound: None,
            images: None,
        }
    }

    pub(crate) fn finish(self, result: ResultShape) -> Statement {
        Statement { sql: self.sql.into(), binds: self.binds, result }
    }

    /// The text alone, for statements without binds.
    pub(crate) fn into_text(self) -> String {
        debug_assert!(self.binds.is_empty(), "a statement without binds has none");
        self.sql
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.sql.push_str(text);
    }

    pub(crate) fn number(&mut self, number: impl std::fmt::Display) {
        write!(self.sql, "{number}").expect("writing to a string does not fail");
    }

    pub(crate) fn rank_number(&mut self, rank: usize) {
        self.dialect.rank(&mut self.sql, rank);
    }

    pub(crate) fn identifier(&mut self, name: &str) {
        self.dialect.identifier(&mut self.sql, name);
    }

    /// Text as a SQL literal; only for what the schema says, never for what a request says.
    pub(crate) fn quoted(&mut self, text: &str) {
        self.sql.push('\'');
        for part in text.split_inclusive('\'') {
            self.sql.push_str(part);
            if part.ends_with('\'') {
                self.sql.push('\'');
            }
        }
        self.sql.push('\'');
    }

    /// What `write` writes, kept out of the text.
    pub(crate) fn capture(&mut self, write: impl FnOnce(&mut Self)) -> String {
        let before = mem::take(&mut self.sql);
        write(self);
        mem::replace(&mut self.sql, before)
    }

    /// Items with a separator between them.
    pub(crate) fn separated<T>(
        &mut self,
        separator: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.text(separator);
            }
            write(self, item);
        }
    }

    /// A dialect's template: `{0}`, `{1}`… stand for the operands.
    pub(crate) fn template(&mut self, template: &str, mut operand: impl FnMut(&mut Self, usize)) {
        let mut rest = template;
        while let Some(at) = rest.find('{') {
            self.sql.push_str(&rest[..at]);
            let (index, behind) = rest[at + 1..].split_once('}').expect("a template closes its braces");
            operand(self, index.parse().expect("a template numbers its operands"));
            rest = behind;
        }
        self.sql.push_str(rest);
    }

    /// Where the bind of a literal or parameter that has been written stands among the binds.
    pub(crate) fn bind_index(&self, expr: &Expr) -> Option<usize> {
        match &expr.node {
            Node::Literal(value) => {
                let bind = Bind::Value(value.clone());
                self.binds.iter().rposition(|other| is_same_bind(other, &bind))
            }
            Node::Param(index) => self.params.get(index).copied(),
            _ => None,
        }
    }

    /// A placeholder for a bind; the same bind keeps its number.
    pub(crate) fn bind(&mut self, bind: Bind, ty: &Type) {
        if self.inlines {
            return self.inline(bind, ty);
        }
        let next = self.binds.len();
        let known = match &bind {
            Bind::Param(index) => match self.params.entry(*index) {
                Entry::Occupied(known) => Some(*known.get()),
                Entry::Vacant(place) => {
                    place.insert(next);
                    None
                }
            },
            bind => self.binds.iter().take(SHARED_BINDS_MAX).position(|other| is_same_bind(other, bind)),
        };
        let index = known.unwrap_or(next);
        if known.is_none() {
            self.binds.push(bind);
        }
        let ty = self.schema.storage_type(ty);
        self.dialect.placeholder(&mut self.sql, index + 1, ty);
    }

    /// A placeholder for a parameter that is a list of values, as an array.
    pub(crate) fn bind_array(&mut self, param: u32, ty: &Type) {
        let ty = self.schema.storage_type(ty);
        self.binds.push(Bind::Array { param, ty: ty.clone() });
        self.dialect.array_placeholder(&mut self.sql, self.binds.len(), ty);
    }

    /// Rows made of arrays, one for each column, as what is selected and inserted: ` SELECT … FROM unnest(…) AS given (…)`. `before`:
    /// columns that stand before them, and are no arrays. Parameters: the columns', in their order, from `first` on.
    pub(crate) fn rows_of_arrays(
        &mut self,
        before: impl FnOnce(&mut Self),
        columns: &[(&str, &Type)],
        first: u32,
    ) {
        self.text(" SELECT ");
        before(self);
        self.separated(", ", columns, |w, (name, ty)| {
            w.text("given.");
            w.identifier(name);
            if matches!(w.schema.storage_type(ty), Type::Json | Type::List(_)) {
                w.text("::");
                w.text(&w.dialect.type_name(w.schema.storage_type(ty)));
            }
        });
        self.text(" FROM unnest(");
        self.separated(", ", (first..).zip(columns), |w, (param, (_, ty))| w.bind_array(param, ty));
        self.text(") AS given (");
        self.separated(", ", columns, |w, (name, _)| w.identifier(name));
        self.text(")");
    }

    /// A placeholder for the cap on nested rows, which whoever runs the statement fills in.
    pub(crate) fn bind_row_cap(&mut self) {
        let index = *self.row_cap.get_or_insert_with(|| {
            self.binds.push(Bind::Value(Value::Null));
            self.binds.len() - 1
        });
        self.dialect.placeholder(&mut self.sql, index + 1, &Type::Int);
    }

    /// The placeholder of a number (from 1), for statements whose values are given in the order of their columns.
    pub(crate) fn parameter(&mut self, number: usize, ty: &Type) {
        self.dialect.placeholder(&mut self.sql, number, ty);
    }

    /// A value in the text, as a placeholder of its type would give it.
    fn inline(&mut self, bind: Bind, ty: &Type) {
        let text = match &bind {
            Bind::Value(Value::Null) => Some("NULL".to_owned()),
            Bind::Value(value) => self.dialect.literal(value),
            Bind::Clock(clock) => Some(self.dialect.clock(*clock).to_owned()),
            _ => None,
        };
        let Some(text) = text else {
            self.unbound = Some(bind);
            return;
        };
        let (mut bare, mut typed) = (String::new(), String::new());
        let ty = self.schema.storage_type(ty);
        self.dialect.placeholder(&mut bare, 1, &Type::Null);
        let sign = bare.split('1').next().unwrap_or_default().to_owned() + "1";
        self.dialect.placeholder(&mut typed, 1, ty);
        self.sql.push_str(&typed.replacen(&sign, &text, 1));
    }

    /// An alias that nothing else in the statement has.
    pub(crate) fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// Makes a scope without entering it. `key`, when given, is SQL that equals the row's key.
    pub(crate) fn scope(&mut self, alias: &str, table: TableId, key: Option<String>) -> ScopeId {
        self.scopes.push(Scope { alias: alias.to_owned(), table, key, given: Vec::new(), used: Vec::new() });
        ScopeId(self.scopes.len() - 1)
    }

    /// Makes a scope of a row that is another scope's with other values in some columns.
    pub(crate) fn scope_with(&mut self, of: ScopeId, given: Vec<(ColumnId, String)>) -> ScopeId {
        let Scope { alias, table, .. } = &self.scopes[of.0];
        let (alias, table) = (alias.clone(), *table);
        self.scopes.push(Scope { alias, table, key: None, given, used: Vec::new() });
        ScopeId(self.scopes.len() - 1)
    }

    /// Writes with `scope` as the innermost row, inside those already there.
    pub(crate) fn within<R>(&mut self, scope: ScopeId, write: impl FnOnce(&mut Self) -> R) -> R {
        self.stack.push(scope);
        let result = write(self);
        self.stack.pop();
        result
    }

    /// Writes with `scope` as the only row: for what is closed under one row.
    pub(crate) fn alone<R>(&mut self, scope: ScopeId, write: impl FnOnce(&mut Self) -> R) -> R {
        let before = mem::replace(&mut self.stack, vec![scope]);
        let result = write(self);
        self.stack = before;
        result
    }

    /// The scope that many levels out.
    pub(crate) fn enclosing(&self, levels: usize) -> ScopeId {
        let depth = self.stack.len();
        let index =
            depth.checked_sub(levels + 1).expect("the checker resolved names within the scopes there are");
        self.stack[index]
    }

    /// A column of a scope's row.
    pub(crate) fn scope_column(&mut self, scope: ScopeId, column: ColumnId) {
        let scope = &mut self.scopes[scope.0];
        if column == ColumnId::ID
            && let Some(key) = &scope.key
        {
            self.sql.push_str(key);
            return;
        }
        if let Some((_, given)) = scope.given.iter().find(|(given, _)| *given == column) {
            self.sql.push_str(given);
            return;
        }
        if !scope.used.contains(&column) {
            scope.used.push(column);
        }
        self.sql.push_str(&scope.alias);
        self.sql.push('.');
        let name = &self.schema.table(scope.table).column(column).db_name;
        self.dialect.identifier(&mut self.sql, name);
    }

    /// The columns read of a scope's row so far, those not counted for which its key stood in.
    pub(crate) fn used(&self, scope: ScopeId) -> &[ColumnId] {
        &self.scopes[scope.0].used
    }

    /// The alias of a scope's row.
    pub(crate) fn alias_of(&self, scope: ScopeId) -> &str {
        &self.scopes[scope.0].alias
    }

    /// The table of a scope's rows.
    pub(crate) fn table_of(&self, scope: ScopeId) -> TableId {
        self.scopes[scope.0].table
    }

    /// `"Table" alias`
    pub(crate) fn table(&mut self, table: TableId, alias: &str) {
        self.rows_of(table);
        self.text(" ");
        self.text(alias);
    }
}

/// Equality of decimals looks through their scale, but what is bound is the mantissa.
fn is_same_bind(a: &Bind, b: &Bind) -> bool {
    match (a, b) {
        (Bind::Value(Value::Decimal(a)), Bind::Value(Value::Decimal(b))) => {
            a.mantissa == b.mantissa && a.scale == b.scale
        }
        (Bind::Value(Value::List(_)), Bind::Value(Value::List(_))) => false,
        _ => a == b,
    }
}
