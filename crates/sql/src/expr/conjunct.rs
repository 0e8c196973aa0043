//! Conditions as the items of a WHERE.
//!
//! A row passes when every one is true, and unknown is as good as false there: no test for truth is written.

use mainstay_lang::expr::Expr;

use crate::writer::{ScopeId, Writer};

impl Writer<'_> {
    /// Conditions closed under one row, each with `AND` or, the first when nothing is before it, `WHERE` in front.
    pub(crate) fn conditions(&mut self, scope: ScopeId, conditions: &[Expr], mut is_first: bool) {
        for condition in conditions {
            self.text(if is_first { " WHERE " } else { " AND " });
            self.alone(scope, |w| w.expr(condition));
            is_first = false;
        }
    }
}
