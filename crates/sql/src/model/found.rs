//! The model of a database as it is found, with the meaning that was recorded for its columns.
//!
//! What a database holds is believed over what was recorded of it: whoever dropped a column by hand has dropped it. Only what a
//! column's values mean is taken from the record, and where there is none, from what is declared now, as long as the database's
//! own type fits. Tables and columns that are in neither belong to somebody else and are left out.

use std::collections::BTreeMap;

use mainstay_lang::types::Type;

use super::{Model, ModelColumn, ModelTable, index_key};
use crate::catalogue::{Catalogue, FoundColumn, FoundIndex, FoundTable};
use crate::ddl::{self, IndexPlan};
use crate::dialect::Dialect;

/// A column whose type in the database fits neither what was recorded of it nor what is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The table's name in the database.
    pub table: String,
    /// The column's.
    pub column: String,
    /// Its type there.
    pub found: String,
    /// The type that it should have.
    pub expected: String,
}

/// Something in one of the app's tables that is nobody's here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// The table's name in the database.
    pub table: String,
    /// `column extra`, `index by_pages`, `trigger t`, `check positive`.
    pub what: String,
    /// Whether it keeps rows from being made, because it wants a value and has none by itself.
    pub blocks: bool,
}

/// The model of a database; what is recorded of it, and what is declared for it, say what its columns mean.
pub fn found(
    catalogue: &Catalogue,
    dialect: &dyn Dialect,
    recorded: &Model,
    declared: &Model,
) -> (Model, Vec<Misfit>, Vec<Beside>) {
    let mut model = Model::default();
    let (mut misfits, mut besides) = (Vec::new(), Vec::new());
    for table in &catalogue.tables {
        let known = [recorded.tables.get(&table.name), declared.tables.get(&table.name)];
        let Some(first) = known.iter().flatten().next() else { continue };
        let mut columns = BTreeMap::new();
        for column in &table.columns {
            let known: Vec<&ModelColumn> =
                known.iter().flatten().filter_map(|known| known.columns.get(&column.name)).collect();
            match known
                .iter()
                .find(|known| dialect.type_name(&known.ty).eq_ignore_ascii_case(&column.type_name))
            {
                Some(known) => {
                    let declared = declared.column(&table.name, &column.name);
                    columns.insert(column.name.clone(), as_found(table, column, known, declared));
                }
                None => match known.first() {
                    Some(known) => misfits.push(Misfit {
                        table: table.name.clone(),
                        column: column.name.clone(),
                        found: column.type_name.clone(),
                        expected: dialect.type_name(&known.ty).into_owned(),
                    }),
                    None => besides.push(Beside {
                        table: table.name.clone(),
                        what: format!("column {}", column.name),
                        blocks: !column.nullable
                            && column.default.is_none()
                            && !column.generated
                            && !column.identity,
                    }),
                },
            }
        }
        let mut indexes = BTreeMap::new();
        for index in &table.indexes {
            let plan = ddl::plan(&table.name, index.columns.clone(), index.unique);
            let key = index_key(&plan);
            let is_known = known.iter().flatten().any(|known| known.indexes.contains_key(&key));
            if index.is_plain() && (is_known || is_ours(table, index)) {
                indexes.insert(key, IndexPlan { name: index.name.clone(), ..plan });
            } else if index.is_valid || !is_ours(table, index) {
                besides.push(beside(table, format!("index {}", index.name)));
            }
        }
        besides.extend(table.checks.iter().map(|check| beside(table, format!("check {}", check.name))));
        besides.extend(table.triggers.iter().map(|name| beside(table, format!("trigger {name}"))));
        let declared = first.declared.clone();
        model.tables.insert(table.name.clone(), ModelTable { declared, columns, indexes });
    }
    (model, misfits, besides)
}

fn beside(table: &FoundTable, what: String) -> Beside {
    Beside { table: table.name.clone(), what, blocks: false }
}

/// Whether an index bears a name that is given here.
fn is_ours(table: &FoundTable, index: &FoundIndex) -> bool {
    let is_named = index.name.starts_with(&format!("{}.", table.name)) || ddl::is_shortened(&index.name);
    is_named && !index.constraint && !table.name.starts_with('_')
}

fn as_found(
    table: &FoundTable,
    column: &FoundColumn,
    known: &ModelColumn,
    declared: Option<&ModelColumn>,
) -> ModelColumn {
    // What it is, a database tells in words of its own. One that nobody recorded is the declared one: a database of another kind keeps
    // none.
    let default = known.default.clone().or_else(|| declared.and_then(|declared| declared.default.clone()));
    ModelColumn {
        nullable: column.nullable,
        key: table.key.contains(&column.name),
        references: table.reference(&column.name).map(|reference| reference.table.clone()),
        default: default.filter(|_| column.default.is_some()),
        ..known.clone()
    }
}

/// The types that a database of an earlier release recorded: table, column and type in a line, with tabs between them.
/// Precisions were not recorded; they are as declared now, or the largest.
pub(super) fn earlier(record: &str, declared: &Model) -> Model {
    let mut model = Model::default();
    for line in record.lines() {
        let mut parts = line.splitn(3, '\t');
        let (Some(table), Some(column), Some(ty)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let now = declared.column(table, column);
        let references = ty.strip_prefix("row of ").map(str::to_owned);
        let is_same = |known: &&ModelColumn| references.is_some() && known.references == references;
        let ty = match now.filter(is_same) {
            Some(known) => Some(known.ty.clone()),
            None => earlier_type(ty, now.map(|known| &known.ty)),
        };
        let Some(ty) = ty else { continue };
        let of = model.tables.entry(table.to_owned()).or_insert_with(|| ModelTable {
            declared: Some(
                declared
                    .tables
                    .get(table)
                    .and_then(|known| known.declared.clone())
                    .unwrap_or_else(|| table.to_owned()),
            ),
            ..ModelTable::default()
        });
        let mut known = now.cloned().unwrap_or_else(|| ModelColumn::plain(column, &ty));
        (known.ty, known.references) = (ty, references);
        of.columns.insert(column.to_owned(), known);
    }
    model
}

fn earlier_type(text: &str, now: Option<&Type>) -> Option<Type> {
    const PRECISION_MAX: u8 = 18;
    if let Some(rest) = text.strip_prefix("decimal with ") {
        let scale: u8 = rest.split(' ').next()?.parse().ok()?;
        return Some(match now {
            Some(Type::Decimal { precision, scale: declared }) if *declared == scale => {
                Type::Decimal { precision: *precision, scale }
            }
            _ => Type::Decimal { precision: PRECISION_MAX, scale },
        });
    }
    // Keys were uuids unless the table said otherwise, which the column that it leads to tells.
    let text = if text.starts_with("row of ") { "uuid" } else { text };
    let line = format!("column a.b {text}");
    let model = Model::parse(["table a", &line]).ok()?;
    model.column("a", "b").map(|column| column.ty.clone())
}

impl Model {
    /// What was recorded of a database: by this release, or by an earlier one, which recorded less.
    ///
    /// # Errors
    /// When a later release recorded what this one does not know.
    pub fn recorded(
        record: Option<&str>,
        earlier_record: Option<&str>,
        declared: &Model,
    ) -> Result<Model, super::LineError> {
        match (record, earlier_record) {
            (Some(record), _) => Model::parse(record.lines()),
            (None, Some(record)) => Ok(earlier(record, declared)),
            (None, None) => Ok(Model::default()),
        }
    }
}
