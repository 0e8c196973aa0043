//! `after`: the place behind a row, as the database wrote it into `next`.
//!
//! A cursor holds a tag and the values that the row was sorted by, with its key. The tag says under which order of which
//! table it was made; under another one it means nothing and is refused. It holds values that the caller could read, so
//! it is opaque for convenience, not for secrecy.

use mainstay_lang::expr::Expr;
use mainstay_lang::ops::cursor::decode;
use mainstay_lang::schema::TableId;
use mainstay_lang::value::Value;
use mainstay_sql::plan::Order;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Resolver;
use crate::document::join_path;
use crate::error::{Error, Key};
use crate::part::Part;

/// Bytes of a tag, in hexadecimal.
const TAG_LENGTH: usize = 8;

impl Resolver<'_> {
    /// What cursors under a part's order carry.
    pub(super) fn cursor_tag(&self, table: TableId, part: &Part) -> String {
        let mut hash = Sha256::new();
        hash.update(&self.schema.table(table).name);
        for item in &part.order {
            hash.update([0]);
            hash.update(item.split_ascii_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase());
        }
        hash.finalize().iter().take(TAG_LENGTH / 2).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The values of a part's cursor: one for each item of the order, then the key.
    pub(super) fn after(
        &mut self,
        table: TableId,
        part: &Part,
        order: &[Order],
        tag: &str,
    ) -> Result<Option<Vec<Expr>>, Error> {
        let Some(cursor) = &part.after else { return Ok(None) };
        let refused = || {
            let words = "is no cursor of this list; it must be what `next` said, under the same `order`";
            Error::at(Key::Cursor, join_path(&part.path, "after"), "cursor", words)
        };
        let (made_under, json) = decode(cursor).ok_or_else(refused)?;
        if made_under != tag {
            return Err(refused());
        }
        let raw: Vec<&RawValue> = serde_json::from_str(&json).map_err(|_| refused())?;
        let key = self.schema.key_type(table);
        let types: Vec<_> =
            order.iter().map(|item| self.schema.storage_type(&item.by.ty)).chain([key]).cloned().collect();
        if raw.len() != types.len() {
            return Err(refused());
        }
        let mut values = Vec::with_capacity(raw.len());
        for (raw, ty) in raw.iter().zip(&types) {
            let value = Value::from_json(raw.get(), ty).map_err(|_| refused())?;
            values.push(self.params.add(value, ty));
        }
        if matches!(self.params.values().last(), Some(Value::Null)) {
            return Err(refused());
        }
        Ok(Some(values))
    }
}
