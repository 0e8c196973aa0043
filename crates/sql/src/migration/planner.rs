//! The walk over two models, and where each step stands.
//!
//! Steps are put into phases while the tables are walked; the phases in order are the plan. What is looked for comes first,
//! what makes room before what fills it, and what loses values last, when everything else has succeeded.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_lang::schema::{ColumnId, LinkTable, Schema, Table};

use super::{Change, Effect, Hints, Mode, Obstacle, Plan, Step, Way};
use crate::ddl;
use crate::dialect::Dialect;
use crate::model::Model;
use crate::writer::Writer;

/// When something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Looking for what is in the way.
    Check,
    /// Names, before anything else is called by the new ones.
    Rename,
    /// Indexes that would be in the way of changed tables.
    Loosen,
    /// New tables.
    Create,
    /// Columns, as far as that is quick.
    Columns,
    /// Values for rows that are there.
    Fill,
    /// What those values make possible.
    Require,
    /// References.
    Refer,
    /// Looking for what is in the way of new indexes among values that were just filled in.
    CheckAgain,
    /// Indexes.
    Index,
    /// The change log and the counters.
    Log,
    /// Indexes that are no longer wanted.
    Unindex,
    /// Columns and tables that go.
    Drop,
}

/// A plan in the making.
pub(super) struct Planner<'a> {
    pub(super) schema: &'a Schema,
    pub(super) dialect: &'a dyn Dialect,
    pub(super) hints: &'a Hints,
    pub(super) way: Way,
    /// What there is, under the names that it has once everything is renamed.
    pub(super) from: Model,
    /// What is wanted.
    pub(super) to: Model,
    /// What columns were called before, by their table and name now: checks come before renames.
    pub(super) old_names: BTreeMap<(String, String), (String, String)>,
    /// What tables were declared as before, by their names in the database now.
    pub(super) old_tables: BTreeMap<String, String>,
    /// Tables that are built anew, with their indexes.
    pub(super) rebuilt: BTreeSet<String>,
    /// Columns whose values are not what they were: table and name.
    pub(super) touched: BTreeSet<(String, String)>,
    /// Columns of another type: table and name.
    pub(super) retyped: BTreeSet<(String, String)>,
    /// The hints that were of use.
    pub(super) used: BTreeSet<String>,
    pub(super) changes: Vec<Change>,
    pub(super) obstacles: Vec<Obstacle>,
    steps: BTreeMap<Phase, Vec<Step>>,
    before: BTreeSet<String>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        schema: &'a Schema,
        dialect: &'a dyn Dialect,
        from: &Model,
        hints: &'a Hints,
        way: Way,
    ) -> Planner<'a> {
        // A database that changes in pieces is one that can.
        let way = if dialect.alters_columns() { way } else { Way::AtOnce };
        Planner {
            schema,
            dialect,
            hints,
            way,
            from: from.clone(),
            to: Model::of(schema, dialect),
            old_names: BTreeMap::new(),
            old_tables: BTreeMap::new(),
            rebuilt: BTreeSet::new(),
            touched: BTreeSet::new(),
            retyped: BTreeSet::new(),
            used: BTreeSet::new(),
            changes: Vec::new(),
            obstacles: Vec::new(),
            steps: BTreeMap::new(),
            before: from.lines(),
        }
    }

    pub(super) fn run(mut self) -> Result<Plan, Vec<Obstacle>> {
        self.names();
        let mut created: BTreeSet<&str> = BTreeSet::new();
        for table in self.schema.own_tables() {
            if !self.from.tables.contains_key(&table.db_name) {
                created.insert(&table.db_name);
                self.create_table(table);
            }
        }
        for link in ddl::links(self.schema) {
            if !self.from.tables.contains_key(&link.db_name) {
                created.insert(&link.db_name);
                self.create_link(link);
            } else {
                self.link(link);
            }
        }
        for link in ddl::links(self.schema).filter(|link| created.contains(link.db_name.as_str())) {
            for statement in ddl::add_link_references(self.schema, self.dialect, link) {
                self.step(Phase::Create, format!("{} refers to its tables", link.db_name), statement);
            }
        }
        for table in self.schema.own_tables().filter(|table| created.contains(table.db_name.as_str())) {
            self.references_of_new(table);
        }
        for table in self.schema.own_tables() {
            if !created.contains(table.db_name.as_str()) {
                self.table(table);
            }
        }
        self.indexes(&created);
        self.drop_tables();
        if !self.obstacles.is_empty() {
            return Err(self.obstacles);
        }
        let after = self.to.lines();
        Ok(Plan {
            changes: self.changes,
            steps: self.steps.into_values().flatten().collect(),
            removed: self.before.difference(&after).cloned().collect(),
            added: after.difference(&self.before).cloned().collect(),
        })
    }

    pub(super) fn change(&mut self, effect: Effect, words: impl Into<String>) {
        self.changes.push(Change { words: words.into(), effect });
    }

    pub(super) fn refuse(&mut self, place: impl Into<String>, words: impl Into<String>) {
        self.obstacles.push(Obstacle::Refused { place: place.into(), words: words.into() });
    }

    pub(super) fn push(&mut self, phase: Phase, step: Step) {
        self.steps.entry(phase).or_default().push(step);
    }

    /// A step of one statement.
    pub(super) fn step(&mut self, phase: Phase, words: impl Into<String>, statement: String) {
        self.push(phase, Step { words: words.into(), statements: vec![statement], ..Step::default() });
    }

    /// How a step that takes long stands to its neighbours.
    pub(super) fn long(&self) -> Mode {
        if self.way == Way::Online { Mode::Alone } else { Mode::Joined }
    }

    /// A text of SQL.
    pub(super) fn write(&self, write: impl FnOnce(&mut Writer<'a>)) -> String {
        let mut w = Writer::new(self.schema, self.dialect);
        w.inlines = true;
        write(&mut w);
        w.into_text()
    }

    /// `ALTER TABLE … DROP COLUMN …`, with what is in it.
    pub(super) fn drop_column(&mut self, table: &Table, name: &str) {
        let statement = self.alter(&table.db_name, |w| {
            w.text("DROP COLUMN ");
            w.identifier(name);
        });
        let step = Step {
            words: format!("drop {}.{name} with its values", table.db_name),
            is_destructive: true,
            statements: vec![statement],
            ..Step::default()
        };
        self.push(Phase::Drop, step);
    }

    /// `ALTER TABLE "table"` and what follows.
    pub(super) fn alter(&self, table: &str, write: impl FnOnce(&mut Writer<'a>)) -> String {
        self.write(|w| {
            w.text("ALTER TABLE ");
            w.identifier(table);
            w.text(" ");
            write(w);
        })
    }

    fn create_table(&mut self, table: &Table) {
        self.change(Effect::Safe, format!("{} is new", table.name));
        let statement = ddl::create_table(self.schema, self.dialect, table);
        self.step(Phase::Create, format!("make the table {}", table.db_name), statement);
    }

    fn create_link(&mut self, link: &LinkTable) {
        self.change(Effect::Safe, format!("{} is new: the links of a relation", link.db_name));
        let statement = ddl::create_link(self.schema, self.dialect, link);
        self.step(Phase::Create, format!("make the table {}", link.db_name), statement);
    }

    /// Where references do not stand with their columns, they come once all tables are there.
    fn references_of_new(&mut self, table: &Table) {
        let references = table.columns.iter().filter_map(|column| {
            let statement = ddl::add_reference(self.schema, self.dialect, table, column)?;
            Some((format!("{}.{} refers to its table", table.db_name, column.db_name), statement))
        });
        for (words, statement) in references.collect::<Vec<_>>() {
            self.step(Phase::Create, words, statement);
        }
    }

    /// A link table that is there has to lead where it led.
    fn link(&mut self, link: &LinkTable) {
        let (was, is) = (&self.from.tables[&link.db_name], &self.to.tables[&link.db_name]);
        let same = is.columns.iter().all(|(name, column)| {
            was.columns.get(name).is_some_and(|was| {
                was.references == column.references && was.ty == column.ty && was.key && !was.nullable
            })
        });
        if !same || was.columns.len() != is.columns.len() {
            let [owner, target] =
                [link.owner, link.target].map(|table| self.schema.table(table).name.clone());
            let words = format!(
                "holds links of other tables than {owner} and {target}: give the relation another name, so that a new table is made, \
                 and move what should stay"
            );
            self.refuse(&link.db_name, words);
        }
    }

    fn drop_tables(&mut self) {
        let gone = self.from.tables.iter().filter(|(name, _)| !self.to.tables.contains_key(*name));
        let gone: Vec<(String, bool, String)> = gone
            .map(|(name, table)| {
                let shown = table.declared.clone().unwrap_or_else(|| name.clone());
                (name.clone(), table.declared.is_some(), shown)
            })
            .collect();
        // Links refer to tables, and tables to each other: links first, then whatever nobody refers to any more.
        let mut left: Vec<_> = gone.iter().filter(|(_, is_table, _)| !*is_table).collect();
        let mut tables: Vec<_> = gone.iter().filter(|(_, is_table, _)| *is_table).collect();
        while !tables.is_empty() {
            let free = tables.iter().position(|(name, ..)| {
                tables.iter().all(|(other, ..)| {
                    other == name
                        || self.from.tables[other]
                            .columns
                            .values()
                            .all(|column| column.references.as_ref() != Some(name))
                })
            });
            left.push(tables.remove(free.unwrap_or(0)));
        }
        for (name, is_table, shown) in left {
            let what = if *is_table { "rows" } else { "links" };
            self.change(Effect::Destructive, format!("{shown} is dropped: its {what} are lost"));
            let cascade = if self.dialect.alters_columns() { " CASCADE" } else { "" };
            let statement = self.write(|w| {
                w.text("DROP TABLE ");
                w.identifier(name);
                w.text(cascade);
            });
            let step = Step {
                words: format!("drop the table {name} with its {what}"),
                is_destructive: true,
                statements: vec![statement],
                ..Step::default()
            };
            self.push(Phase::Drop, step);
        }
    }

    /// The table and the key of a place, as statements name them before anything is renamed.
    pub(super) fn before_renames(&self, table: &str, column: &str) -> (String, String) {
        let now = (table.to_owned(), column.to_owned());
        self.old_names.get(&now).cloned().unwrap_or(now)
    }

    /// The name of a table's key.
    pub(super) fn key_of(table: &Table) -> &str {
        &table.column(ColumnId::ID).db_name
    }
}
