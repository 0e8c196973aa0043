//! `where`: a condition as text, with its parameters.

use mainstay_lang::expr::Expr;
use mainstay_lang::filter::compile_filter;
use mainstay_lang::schema::Table;
use mainstay_lang::value::Value;

use super::{from_request, read_value};
use crate::document::join_path;
use crate::error::{Error, Key};
use crate::part::Part;
use crate::resolve::params::{Reading, Source};
use crate::resolve::{Resolver, name, text};

/// A longer condition is a list of values, which `params` or a constraint hold better.
const TEXT_BYTES_MAX: usize = 64 << 10;

impl Resolver<'_> {
    pub(super) fn filter_text(&mut self, table: &Table, part: &Part) -> Result<Expr, Error> {
        let text = part.filter.as_deref().unwrap_or_default();
        let path = join_path(&part.path, "where");
        if text.len() > TEXT_BYTES_MAX {
            let words =
                format!("`where` may have {TEXT_BYTES_MAX} bytes; give a long list as one of `params`");
            return Err(Error::at(Key::Limit, path, "bytes", words));
        }
        let filter =
            compile_filter(self.schema, table.id, text).map_err(|found| text::error(&path, text, &found))?;
        let params_path = join_path(&part.path, "params");
        let names = || filter.params.iter().map(|(name, _)| name.as_str());
        if let Some((name, _)) = part.params.iter().find(|(name, _)| !names().any(|known| known == name)) {
            return Err(name::unknown(
                &join_path(&params_path, name),
                "params",
                name,
                "`where` names no parameter",
                names(),
            ));
        }
        let mut own = Vec::with_capacity(filter.params.len());
        for (name, ty) in &filter.params {
            let path = join_path(&params_path, name);
            let Some((_, raw)) = part.params.iter().find(|(given, _)| given == name) else {
                let words = format!("`where` names `${name}`, which has no value in `params`");
                return Err(Error::at(Key::Query, path, "params", words));
            };
            let ty = self.schema.storage_type(ty);
            if raw.get() == "null" {
                own.push((Value::Null, ty.clone(), Source::Shape));
            } else {
                let source = from_request(&path, Reading::Value(ty.clone()));
                own.push((read_value(raw.get(), ty, &path)?, ty.clone(), source));
            }
        }
        Ok(self.params.adopt(&filter.condition, own))
    }
}
