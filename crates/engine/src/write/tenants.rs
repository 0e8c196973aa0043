//! No row refers to another tenant's.
//!
//! A caller in a tenant reads and so refers to rows of that tenant alone. What is left are administrators whose request
//! is for no tenant, and defaults that name a row of the caller's: their references are looked at when everything else of
//! the request is done.

use mainstay_lang::expr::Node;
use mainstay_lang::schema::{ColumnId, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::dialect::Lock;

use super::rows::Written;
use super::run::Run;
use crate::error::{Error, Key};

/// A reference from a row of a tenant.
struct Reference {
    /// Of the row that refers.
    tenant: Value,
    to: TableId,
    key: Value,
    path: String,
    /// What refers: a column or a link.
    name: String,
}

impl Run<'_> {
    /// Refuses references to rows of another tenant.
    pub(super) async fn check_tenants(&mut self) -> Result<(), Error> {
        let mut references: Vec<Reference> = Vec::new();
        for written in self.rows.written() {
            self.note_references(written, &mut references);
        }
        if self.ctx.tenant.is_none() {
            for change in self.rows.links().to_vec() {
                let Some(tenant) = self.schema().table(change.link.owner).tenant.filter(|_| change.added)
                else {
                    continue;
                };
                let Some(owner) =
                    Box::pin(self.image(change.link.owner, &change.owner, Some(Lock::Hold))).await?
                else {
                    continue;
                };
                references.push(Reference {
                    tenant: owner[tenant.0 as usize].clone(),
                    to: change.link.target,
                    key: change.target,
                    path: change.path,
                    name: "the link".to_owned(),
                });
            }
        }
        for reference in references {
            let table = self.schema().table(reference.to);
            let Some(tenant) = table.tenant else { continue };
            let Some(row) = Box::pin(self.image(reference.to, &reference.key, Some(Lock::Hold))).await?
            else {
                continue;
            };
            if row[tenant.0 as usize] != reference.tenant {
                let words = format!("{} leads to a {} of another tenant", reference.name, table.name);
                return Err(Error::at(Key::Invalid, reference.path, "tenant", words));
            }
        }
        Ok(())
    }

    /// The references of a row that nobody has looked at yet.
    fn note_references(&self, written: &Written, references: &mut Vec<Reference>) {
        let table = self.schema().table(written.table);
        let (Some(tenant), Some(row)) = (table.tenant, &written.after) else { return };
        let held = |column: ColumnId| written.before.as_ref().map(|before| &before[column.0 as usize]);
        for column in &table.columns {
            let Some(to) = column.target() else { continue };
            let is_of_caller = column
                .default
                .as_ref()
                .is_some_and(|default| written.before.is_none() && !matches!(default.node, Node::Literal(_)));
            let key = &row[column.id.0 as usize];
            if (self.ctx.tenant.is_none() || is_of_caller) && !key.is_null() && held(column.id) != Some(key) {
                references.push(Reference {
                    tenant: row[tenant.0 as usize].clone(),
                    to,
                    key: key.clone(),
                    path: written.path.clone(),
                    name: format!("`{}`", column.name),
                });
            }
        }
    }
}
