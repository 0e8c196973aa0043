//! Questions to the rows of a to-many relation, and where such rows are found.
//!
//! `any`, `all` and `none` become EXISTS and so are never unknown; of a path that ends in null there are no rows. The
//! key of a linked row stands in the link table: its own table is joined only when more of it is read.

use mainstay_lang::expr::{Ask, Expr, Many};
use mainstay_lang::schema::{ColumnId, LinkTable, RelationId, RelationKind, TableId};
use mainstay_lang::types::Type;

use crate::dialect::Operator;
use crate::writer::{ScopeId, Writer};

/// The rows of a relation of one parent: where they come from and what ties them to it.
pub(crate) struct Relatives {
    /// The alias of the rows.
    pub(crate) alias: String,
    /// The table of the rows.
    pub(crate) target: TableId,
    /// SQL that equals a row's key without reading the row.
    pub(crate) key: Option<String>,
    /// Link table and its alias, for a link.
    link: Option<(String, String)>,
    /// The column that holds the parent's key.
    pub(crate) near: String,
    /// The condition that ties rows to the parent.
    pub(crate) tie: String,
}

impl Writer<'_> {
    /// The rows of a relation of a table, of the row whose key the SQL `owner` yields.
    pub(crate) fn relatives(&mut self, table: TableId, relation: RelationId, owner: &str) -> Relatives {
        let relation = self.schema.table(table).relation(relation);
        let (target, alias) = (relation.target, self.alias());
        match &relation.kind {
            RelationKind::Reverse { column } => {
                let scope = self.scope(&alias, target, None);
                let near = self.capture(|w| w.scope_column(scope, *column));
                let tie = format!("{near} = {owner}");
                Relatives { alias, target, key: None, link: None, near, tie }
            }
            RelationKind::Link(link) => self.linked_rows(link, true, alias, target, owner),
            RelationKind::LinkReverse { link, .. } => self.linked_rows(link, false, alias, target, owner),
        }
    }

    fn linked_rows(
        &mut self,
        link: &LinkTable,
        from_owner: bool,
        alias: String,
        target: TableId,
        owner: &str,
    ) -> Relatives {
        let (near, far) = if from_owner {
            (&link.owner_column, &link.target_column)
        } else {
            (&link.target_column, &link.owner_column)
        };
        let link_alias = self.alias();
        let mut column = |name: &str| {
            self.capture(|w| {
                w.text(&link_alias);
                w.text(".");
                w.identifier(name);
            })
        };
        let (key, near) = (column(far), column(near));
        let tie = format!("{near} = {owner}");
        let link = Some((link.db_name.clone(), link_alias));
        Relatives { alias, target, key: Some(key), link, near, tie }
    }

    /// `FROM …`, the rows' own table only when a scope over them read more than the key.
    pub(crate) fn related_from(&mut self, rows: &Relatives, scopes: &[ScopeId]) {
        self.text(" FROM ");
        let Some((link, link_alias)) = &rows.link else {
            return self.table(rows.target, &rows.alias);
        };
        self.identifier(link);
        self.text(" ");
        self.text(link_alias);
        if scopes.iter().any(|scope| !self.used(*scope).is_empty()) {
            self.text(" JOIN ");
            self.table(rows.target, &rows.alias);
            self.text(" ON ");
            self.text(&rows.alias);
            self.text(".");
            let id = &self.schema.table(rows.target).column(ColumnId::ID).db_name;
            self.identifier(id);
            self.text(" = ");
            self.text(rows.key.as_deref().expect("a linked row's key stands in the link table"));
        }
    }

    pub(super) fn many(&mut self, many: &Many) {
        let key = Type::Ref(many.table);
        let owner = self.capture(|w| w.path_key(&many.row, &key));
        let rows = self.relatives(many.table, many.relation, &owner);
        let scope = self.scope(&rows.alias, rows.target, rows.key.clone());
        let body = many.body.as_ref().map(|body| self.capture(|w| w.within(scope, |w| w.expr(body))));
        let visible = many.visible.as_ref().map(|seen| self.capture(|w| w.alone(scope, |w| w.expr(seen))));
        let from = self.capture(|w| {
            w.related_from(&rows, &[scope]);
            w.text(" WHERE ");
            w.text(&rows.tie);
            if let Some(visible) = &visible {
                w.text(" AND ");
                w.text(visible);
            }
        });
        match many.ask {
            Ask::Any => self.exists("EXISTS ", &from, body.as_deref(), ""),
            Ask::None => self.exists("NOT EXISTS ", &from, body.as_deref(), ""),
            // Of rows without a condition, none fails it.
            Ask::All if body.is_none() => {
                let text = self.dialect.boolean(true);
                self.text(text);
            }
            Ask::All => self.exists("NOT EXISTS ", &from, body.as_deref(), " IS NOT TRUE"),
            Ask::Count => {
                self.text("(SELECT count(*)");
                self.text(&from);
                self.and(body.as_deref(), "");
                self.text(")");
            }
            Ask::Sum | Ask::Min | Ask::Max => {
                let of = many.body.as_ref().expect("the checker gives a sum, min or max its value");
                let value = body.as_deref().expect("the body was written");
                // Over a column of a table of its own: SQLite hands an aggregate that reads only enclosing rows to the
                // enclosing query.
                self.text("(SELECT ");
                self.computed(many.ask, of, "v");
                self.text(" FROM (SELECT ");
                self.text(value);
                self.text(" AS v");
                self.text(&from);
                // Before version 16 PostgreSQL wants every derived table to have a name.
                self.text(") s)");
            }
        }
    }

    fn exists(&mut self, before: &str, from: &str, condition: Option<&str>, test: &str) {
        self.text("(");
        self.text(before);
        self.text("(SELECT 1");
        self.text(from);
        self.and(condition, test);
        self.text("))");
    }

    fn and(&mut self, condition: Option<&str>, test: &str) {
        if let Some(condition) = condition {
            self.text(" AND ");
            self.text(condition);
            self.text(test);
        }
    }

    /// Sum, least or greatest of a value over a group.
    pub(crate) fn computed(&mut self, ask: Ask, of: &Expr, value: &str) {
        let ty = self.schema.storage_type(&of.ty);
        let operator = match ask {
            Ask::Min => Operator::Least(ty),
            Ask::Max => Operator::Greatest(ty),
            _ => Operator::Sum(ty),
        };
        let template = self.dialect.operator(operator);
        self.template(&template, |w, _| w.text(value));
    }
}
