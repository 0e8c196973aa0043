//! `where`: a condition as text, with its parameters.

use mainstay_lang::expr::Expr;
use mainstay_lang::schema::Table;

use crate::document::join_path;
use crate::error::{Error, Key};
use crate::part::Part;
use crate::resolve::Resolver;

impl Resolver<'_> {
    pub(super) fn filter_text(&mut self, _: &Table, part: &Part) -> Result<Expr, Error> {
        Err(Error::at(Key::Expression, join_path(&part.path, "where"), "where", "not compiled yet"))
    }
}
