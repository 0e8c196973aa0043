//! What every database needs before an app's tables: the functions that statements call, and the system's own tables.
//!
//! It belongs to a release and not to an app, so it stands in no migration: whoever opens a database to change it brings it
//! along.

use mainstay_lang::schema::Schema;

use crate::catalogue::Catalogue;
use crate::dialect::Dialect;
use crate::system;

/// The statements that make what is missing.
pub fn ground(dialect: &dyn Dialect, catalogue: &Catalogue) -> Vec<String> {
    let mut statements = Vec::new();
    if !catalogue.has_setup {
        statements.extend(dialect.setup().iter().map(|&script| script.to_owned()));
    }
    let has_tables = system::TABLES.iter().all(|table| catalogue.table(table.name).is_some());
    let indexes = catalogue.tables.iter().flat_map(|table| &table.indexes).map(|index| index.name.as_str());
    let has_indexes =
        system::indexes(dialect).all(|wanted| indexes.clone().any(|index| index == wanted.name));
    if !has_tables || !has_indexes {
        statements.extend(system::create(&Schema::default(), dialect));
    }
    statements
}
