//! A schema as tables to be copied whole, and the statements of copying.
//!
//! What is copied is everything that a database of the schema holds: the app's tables, its link tables, and the system's.
//! Every database tells a table's rows in the same columns and in the order of its key, so that two reads of the same rows
//! give the same stream. Left out is only what each database finds for itself: the transactions of the change log.
//!
//! A database that is being filled has one table more, `_move`, with a line for each table. It goes with the statements that
//! finish the database, so that where it is, the rows are not complete.

use mainstay_lang::schema::{ColumnId, Schema};
use mainstay_lang::types::Type;

use crate::catalogue::Catalogue;
use crate::ddl;
use crate::dialect::{ColumnRole, Dialect};
use crate::migration::ledger;
use crate::model::Model;
use crate::statement::{Bind, ResultShape, Statement};
use crate::system::{self, SystemTable, column};
use crate::writer::Writer;

const TEXT: Type = Type::Text { max: None };

/// How far the filling of a database has come: rows that are kept and the sum of their checksums, and where from.
pub const PROGRESS: SystemTable = SystemTable {
    name: "_move",
    columns: &[
        column("table", TEXT),
        column("source", TEXT),
        column("rows", Type::Int),
        column("checksum", TEXT),
        column("complete", Type::Bool),
    ],
    key: &["table"],
};

/// A table to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyTable {
    /// Its name in the database.
    pub name: String,
    /// Its columns, in the order in which rows tell them.
    pub columns: Vec<CopyColumn>,
    /// The columns of its key, as indexes into `columns`.
    pub key: Vec<usize>,
    /// Whether its rows speak of one kind of database, and mean nothing to another.
    pub of_kind: bool,
    /// The column that the database numbers.
    serial: Option<usize>,
    /// A column that is not copied, and the column that tells the instant of its row.
    transaction: Option<(&'static str, usize)>,
}

/// A column to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyColumn {
    /// Its name in the database.
    pub name: String,
    /// The type under which it is stored.
    pub ty: Type,
}

/// Every table of a schema, each once; facts about the database come last.
pub fn tables(schema: &Schema) -> Vec<CopyTable> {
    let of_app = schema.own_tables().map(|table| {
        let column = |column: &mainstay_lang::schema::Column| CopyColumn {
            name: column.db_name.clone(),
            ty: schema.storage_type(&column.ty).clone(),
        };
        CopyTable {
            name: table.db_name.clone(),
            columns: table.columns.iter().map(column).collect(),
            key: vec![ColumnId::ID.0 as usize],
            of_kind: false,
            serial: None,
            transaction: None,
        }
    });
    let links = ddl::links(schema).map(|link| {
        let sides = [(&link.owner_column, link.owner), (&link.target_column, link.target)];
        let column =
            |(name, side): (&String, _)| CopyColumn { name: name.clone(), ty: schema.key_type(side).clone() };
        CopyTable {
            name: link.db_name.clone(),
            columns: sides.map(column).to_vec(),
            key: vec![0, 1],
            of_kind: false,
            serial: None,
            transaction: None,
        }
    });
    let mut tables: Vec<CopyTable> = of_app.chain(links).collect();
    tables.extend(system::TABLES.map(of_system));
    tables
}

fn of_system(table: &SystemTable) -> CopyTable {
    let copied = || table.columns.iter().filter(|column| column.role != ColumnRole::Transaction);
    let place = |name: &str| copied().position(|column| column.name == name);
    let transaction = table.columns.iter().find(|column| column.role == ColumnRole::Transaction);
    let serial = copied().position(|column| column.role == ColumnRole::Serial);
    let by_itself = copied().position(|column| column.role == ColumnRole::Key);
    let key = table.key.iter().filter_map(|name| place(name)).chain(by_itself).collect();
    CopyTable {
        name: table.name.to_owned(),
        columns: copied()
            .map(|column| CopyColumn { name: column.name.to_owned(), ty: column.ty.clone() })
            .collect(),
        key: serial.map_or(key, |serial| vec![serial]),
        // Migrations are files for one kind of database.
        of_kind: table.name == system::MIGRATION.name,
        serial,
        transaction: transaction.map(|column| column.name).zip(place("at")),
    }
}

/// How a database differs from the tables to be copied out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Misfit {
    /// What it lacks or has as another type, in words.
    pub missing: Vec<String>,
    /// What it holds beside them, as `Table` or `Table.column`.
    pub undeclared: Vec<String>,
}

/// Compares a database with the tables to be copied out of it.
pub fn misfit(tables: &[CopyTable], dialect: &dyn Dialect, found: &Catalogue) -> Misfit {
    let mut misfit = Misfit::default();
    for table in tables {
        let Some(found) = found.table(&table.name) else {
            misfit.missing.push(format!("the table {} is not there", table.name));
            continue;
        };
        for column in &table.columns {
            let place = format!("{}.{}", table.name, column.name);
            let wanted = dialect.type_name(&column.ty);
            match found.column(&column.name) {
                None => misfit.missing.push(format!("{place} is not there")),
                Some(found) if !found.type_name.eq_ignore_ascii_case(&wanted) => {
                    misfit.missing.push(format!("{place} is {} and should be {wanted}", found.type_name));
                }
                Some(_) => {}
            }
        }
        let known = |name: &str| {
            table.columns.iter().any(|column| column.name == name)
                || table.transaction.is_some_and(|(transaction, _)| transaction == name)
        };
        let others = found.columns.iter().filter(|found| !known(&found.name));
        misfit.undeclared.extend(others.map(|found| format!("{}.{}", table.name, found.name)));
    }
    let known = |name: &str| tables.iter().any(|table| table.name == name) || name == PROGRESS.name;
    let others = found.tables.iter().filter(|found| !known(&found.name));
    misfit.undeclared.extend(others.map(|found| found.name.clone()));
    misfit
}

/// Reads all rows of a table, in the order of its key or in any.
pub fn read(dialect: &dyn Dialect, table: &CopyTable, in_order: bool) -> String {
    with_writer(dialect, |w| {
        w.text(if dialect.copies() { "COPY (SELECT " } else { "SELECT " });
        w.separated(", ", &table.columns, |w, column| w.identifier(&column.name));
        w.text(" FROM ");
        w.identifier(&table.name);
        if in_order {
            w.text(" ORDER BY ");
            w.separated(", ", &table.key, |w, place| w.identifier(&table.columns[*place].name));
        }
        w.text(if dialect.copies() { ") TO STDOUT (FORMAT binary)" } else { "" });
    })
}

/// Writes rows into a table: with a parameter for each column, unless rows are copied.
pub fn write(dialect: &dyn Dialect, table: &CopyTable) -> String {
    let computed = table.transaction.zip(dialect.transaction_of());
    with_writer(dialect, |w| {
        w.text(if dialect.copies() { "COPY " } else { "INSERT INTO " });
        w.identifier(&table.name);
        w.text(" (");
        w.separated(", ", &table.columns, |w, column| w.identifier(&column.name));
        if let Some(((name, _), _)) = computed {
            w.text(", ");
            w.identifier(name);
        }
        if dialect.copies() {
            return w.text(") FROM STDIN (FORMAT binary)");
        }
        w.text(") VALUES (");
        w.separated(", ", 0..table.columns.len(), |w, place| {
            w.parameter(place + 1, &table.columns[place].ty)
        });
        if let Some(((_, at), template)) = computed {
            w.text(", ");
            w.template(template, |w, _| w.parameter(at + 1, &Type::Timestamp));
        }
        w.text(")");
    })
}

/// Takes all rows out of a table that nothing refers to yet.
pub fn empty(dialect: &dyn Dialect, table: &CopyTable) -> String {
    with_writer(dialect, |w| {
        w.text(if dialect.copies() { "TRUNCATE " } else { "DELETE FROM " });
        w.identifier(&table.name);
    })
}

/// How many rows a table has.
pub fn count(dialect: &dyn Dialect, table: &CopyTable) -> Statement {
    let schema = Schema::default();
    let mut w = Writer::new(&schema, dialect);
    w.text("SELECT count(*) FROM ");
    w.identifier(&table.name);
    w.finish(ResultShape::Values(vec![Type::Int]))
}

/// The number of the last line of the change log, 0 when it has none.
pub fn last_change(dialect: &dyn Dialect) -> Statement {
    let schema = Schema::default();
    let mut w = Writer::new(&schema, dialect);
    w.text("SELECT coalesce(max(\"seq\"), 0) FROM ");
    w.identifier(system::CHANGE.name);
    w.finish(ResultShape::Values(vec![Type::Int]))
}

/// The statements that make an empty database ready to be filled. `source` is what the server calls the place where the
/// rows come from, and `none` the checksum of no rows.
pub fn begin(schema: &Schema, dialect: &dyn Dialect, source: &str, none: &str) -> Vec<String> {
    let mut statements = ddl::create_tables(schema, dialect);
    statements.push(system::create_table(schema, dialect, &PROGRESS));
    let note = |table: &CopyTable| {
        with_writer(dialect, |w| {
            w.text("INSERT INTO ");
            w.identifier(PROGRESS.name);
            w.text(" (");
            w.separated(", ", PROGRESS.columns, |w, column| w.identifier(column.name));
            w.text(") VALUES (");
            w.separated(", ", [&table.name, source], Writer::quoted);
            w.text(", 0, ");
            w.quoted(none);
            w.text(", ");
            w.text(dialect.boolean(false));
            w.text(")");
        })
    };
    statements.extend(tables(schema).iter().map(note));
    statements
}

/// The statements that finish a database once all rows are in it.
pub fn finish(schema: &Schema, dialect: &dyn Dialect) -> Vec<String> {
    let mut statements = ddl::finish_tables(schema, dialect);
    for table in system::TABLES.map(of_system) {
        let Some((template, serial)) = dialect.continue_numbers().zip(table.serial) else { continue };
        let column = &table.columns[serial].name;
        statements.push(with_writer(dialect, |w| {
            w.template(template, |w, operand| match operand {
                0 => {
                    let name = w.capture(|w| w.identifier(&table.name));
                    w.quoted(&name);
                }
                1 => w.quoted(column),
                2 => w.identifier(column),
                _ => w.identifier(&table.name),
            });
        }));
    }
    if dialect.copies() {
        // Until the server looks for itself it would plan as for empty tables.
        let analyze = |table: &CopyTable| {
            with_writer(dialect, |w| {
                w.text("ANALYZE ");
                w.identifier(&table.name);
            })
        };
        statements.extend(tables(schema).iter().map(analyze));
    }
    // What was recorded may be of another kind of database, or of an earlier release.
    statements.push(ledger::record(dialect, &Model::of(schema, dialect)));
    // It is another database than the one that the rows come from.
    statements.push(system::meta_forget(dialect, system::IDENTITY));
    statements.push(drop_table(dialect, PROGRESS.name));
    statements
}

/// `DROP TABLE` of all tables that are there, in as many statements as it takes.
pub fn drop_all(dialect: &dyn Dialect, found: &Catalogue) -> Vec<String> {
    let names: Vec<&str> = found.tables.iter().map(|table| table.name.as_str()).collect();
    if names.is_empty() || !dialect.copies() {
        return names.into_iter().map(|name| drop_table(dialect, name)).collect();
    }
    // At once, so that they may refer to each other.
    vec![with_writer(dialect, |w| {
        w.text("DROP TABLE ");
        w.separated(", ", names, Writer::identifier);
    })]
}

fn drop_table(dialect: &dyn Dialect, name: &str) -> String {
    with_writer(dialect, |w| {
        w.text("DROP TABLE ");
        w.identifier(name);
    })
}

/// How far each table has come: all columns of [`PROGRESS`].
pub fn progress_read(dialect: &dyn Dialect) -> Statement {
    let schema = Schema::default();
    let mut w = Writer::new(&schema, dialect);
    w.text("SELECT ");
    w.separated(", ", PROGRESS.columns, |w, column| w.identifier(column.name));
    w.text(" FROM ");
    w.identifier(PROGRESS.name);
    w.finish(ResultShape::Values(PROGRESS.columns.iter().map(|column| column.ty.clone()).collect()))
}

/// Notes how far a table has come. Parameters: rows, checksum, whether it is complete, table.
pub fn progress_update(dialect: &dyn Dialect) -> Statement {
    let schema = Schema::default();
    let mut w = Writer::new(&schema, dialect);
    w.text("UPDATE ");
    w.identifier(PROGRESS.name);
    w.text(" SET ");
    w.separated(
        ", ",
        [("rows", Type::Int), ("checksum", TEXT), ("complete", Type::Bool)].iter().enumerate(),
        |w, (place, (name, ty))| {
            w.identifier(name);
            w.text(" = ");
            w.bind(Bind::Param(place as u32), ty);
        },
    );
    w.text(" WHERE \"table\" = ");
    w.bind(Bind::Param(3), &TEXT);
    w.finish(ResultShape::Nothing)
}

fn with_writer(dialect: &dyn Dialect, write: impl FnOnce(&mut Writer<'_>)) -> String {
    let schema = Schema::default();
    let mut w = Writer::new(&schema, dialect);
    write(&mut w);
    w.into_text()
}
