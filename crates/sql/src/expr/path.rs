//! Ways to a row: the caller's row, images of a change, and to-one relations followed from there.
//!
//! A hop is a correlated scalar subselect; it gives null when there is no such row, or none that may be seen, and null
//! carries on by itself. Reading only the key of the row reached needs no subselect: the referring column is that key,
//! because foreign keys hold. The caller's row is never read here: what is asked of it is bound.

use mainstay_lang::expr::{CallerFact, Hop, Root, RowPath};
use mainstay_lang::schema::ColumnId;
use mainstay_lang::types::Type;

use crate::statement::Bind;
use crate::writer::Writer;

impl Writer<'_> {
    /// A column of the row at a path.
    pub(super) fn path_column(&mut self, row: &RowPath, column: ColumnId, ty: &Type) {
        if row.root == Root::User {
            let bind = user_bind(&row.hops, column);
            return self.bind(bind, ty);
        }
        self.hops_column(row.root, &row.hops, column, ty);
    }

    /// The key of the row at a path, null when there is no such row.
    pub(super) fn path_key(&mut self, row: &RowPath, ty: &Type) {
        self.path_column(row, ColumnId::ID, ty);
    }

    fn hops_column(&mut self, root: Root, hops: &[Hop], column: ColumnId, ty: &Type) {
        let Some((last, before)) = hops.split_last() else {
            return self.root_column(root, column, ty);
        };
        let key = Type::Ref(last.target);
        if column == ColumnId::ID && last.visible.is_none() {
            return self.hops_column(root, before, last.column, &key);
        }
        let referring = self.capture(|w| w.hops_column(root, before, last.column, &key));
        let alias = self.alias();
        let scope = self.scope(&alias, last.target, None);
        self.text("(SELECT ");
        self.scope_column(scope, column);
        self.text(" FROM ");
        self.table(last.target, &alias);
        self.text(" WHERE ");
        self.scope_column(scope, ColumnId::ID);
        self.text(" = ");
        self.text(&referring);
        if let Some(visible) = &last.visible {
            self.text(" AND ");
            self.alone(scope, |w| w.expr(visible));
        }
        self.text(")");
    }

    fn root_column(&mut self, root: Root, column: ColumnId, ty: &Type) {
        match root {
            Root::Scope(levels) => {
                let scope = self.enclosing(usize::from(levels));
                self.scope_column(scope, column);
            }
            Root::Old | Root::New => match (root, self.images) {
                (Root::Old, Some((old, _))) => self.scope_column(old, column),
                (_, Some((_, new))) => self.scope_column(new, column),
                (Root::Old, None) => self.bind(Bind::Old(column), ty),
                (_, None) => self.bind(Bind::New(column), ty),
            },
            Root::User => self.bind(user_bind(&[], column), ty),
        }
    }
}

/// The caller's key is known without its row, and so is a related row's key without that row.
fn user_bind(hops: &[Hop], column: ColumnId) -> Bind {
    match (hops.split_last(), column) {
        (None, ColumnId::ID) => Bind::Caller(CallerFact::User),
        (Some((last, before)), ColumnId::ID) => user_bind(before, last.column),
        _ => Bind::User { hops: hops.iter().map(|hop| hop.column).collect(), column },
    }
}
