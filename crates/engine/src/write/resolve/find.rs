//! Parts that find rows: for `set`, `delete`, nested writes, and as rows for a relation.

use mainstay_lang::schema::{ColumnId, Member, Table};
use mainstay_lang::value::{Timestamp, Value};

use super::{Planner, Role, malformed, nested, nested_writes, refuse_keywords, shown};
use crate::document::join_path;
use crate::error::{Error, Key};
use crate::expression::reads_row;
use crate::part::{Field, Part};
use crate::resolve::Resolver;
use crate::write::plan::{Assign, Find, NewValue, OneStep, Source, Step};

/// A write touches all that it found: what cuts, sorts or sums up has no meaning for it.
const REFUSED: &[&str] = &["after", "aggregate", "count", "group", "limit", "offset", "order"];

impl<'a> Planner<'a> {
    /// Rows that are there.
    pub(super) fn find(&mut self, table: &'a Table, part: &Part, role: Role) -> Result<Step, Error> {
        let word = if part.delete { "delete" } else { "set" };
        let changes = part.set.is_some() || part.delete;
        refuse_keywords(part, if changes { word } else { "a write" }, REFUSED)?;
        if part.set.is_some() && part.delete {
            return Err(malformed(&part.path, "`set` and `delete` do not go together"));
        }
        if changes {
            self.require_constraint(table, part, word)?;
        } else if part.if_updated.is_some() || (part.all && role == Role::Plain) {
            return Err(malformed(&part.path, "`if_updated` and `all` stand beside `set` or `delete`"));
        }
        let (mut assigns, mut lists) = match &part.set {
            Some(fields) => self.set(table, part, fields)?,
            None => Default::default(),
        };
        let mut ones = Vec::new();
        for (name, field) in &part.fields {
            let path = join_path(&part.path, name);
            if !nested_writes(self.schema, table, name, field) {
                continue;
            }
            match self.member(table, name, &path)? {
                Member::Column(id) => match self.found_one(table, id, field, &path)? {
                    One::Row(assign) => assigns.push(assign),
                    One::Found(one) => ones.push(one),
                    One::Problem => {}
                },
                Member::Relation(id) => lists.extend(self.found_list(table.relation(id), field, &path)?),
            }
        }
        self.refuse_twice(table, &assigns)?;
        let find = self.finding(table, part, role)?;
        Ok(Step {
            path: part.path.clone(),
            table: table.id,
            source: Source::Find(Box::new(find)),
            ones,
            assigns,
            lists,
            deletes: part.delete,
            shown: self.shown(table, part)?,
        })
    }

    /// A write never touches rows by accident.
    pub(super) fn require_constraint(&mut self, table: &Table, part: &Part, word: &str) -> Result<(), Error> {
        for (name, field) in &part.fields {
            let Some((target, parts)) = nested(self.schema, table, name, field) else { continue };
            let unclear = parts.into_iter().find(|nested| {
                !nested.create && !nested.keywords.contains(&"required") && self.constrains(target, nested)
            });
            if let Some(nested) = unclear {
                let message = format!(
                    "says which rows of `{name}` are meant, but not whether it also restricts what `{word}` \
                     touches: state \"required\": true or false"
                );
                return Err(Error::at(Key::Unrestricted, &nested.path, "required", message));
            }
        }
        if part.all || self.fields_constrain(table, part) {
            return Ok(());
        }
        if part.filter.is_some() && self.where_reads_row(table, part)? {
            return Ok(());
        }
        let message =
            format!("`{word}` needs a constraint or `where` that restricts its own rows, or \"all\": true");
        Err(Error::at(Key::Unrestricted, &part.path, "constraint", message))
    }

    /// Whether a part restricts its own rows.
    fn constrains(&self, table: &Table, part: &Part) -> bool {
        part.filter.is_some() || self.fields_constrain(table, part)
    }

    fn fields_constrain(&self, table: &Table, part: &Part) -> bool {
        let restricts = |(name, field): &(String, Field)| match nested(self.schema, table, name, field) {
            Some((_, parts)) => parts.iter().any(|part| part.required && !part.create),
            // An object without operators restricts nothing, nor does what is no part under a to-many relation.
            None => match (table.members.get(name), field) {
                (Some(Member::Relation(_)), _) => false,
                (_, Field::Object(_, Ok(part))) => !part.fields.is_empty() || !part.keywords.is_empty(),
                _ => true,
            },
        };
        part.fields.iter().any(restricts)
    }

    /// Whether `where` looks at the row at all: `true` restricts nothing.
    fn where_reads_row(&mut self, table: &Table, part: &Part) -> Result<bool, Error> {
        let filter = Part {
            path: part.path.clone(),
            filter: part.filter.clone(),
            params: part.params.clone(),
            ..Part::default()
        };
        let conditions = Resolver::new(self.catalog, self.guard, self.limits).conditions(table.id, &filter);
        Ok(self.collect(conditions)?.is_none_or(|conditions| conditions.iter().any(reads_row)))
    }

    /// A part that writes on the row that a to-one relation refers to.
    fn found_one(&mut self, table: &'a Table, id: ColumnId, field: &Field, path: &str) -> Result<One, Error> {
        let column = table.column(id);
        let (Some(part), Some(target)) = (field.part()?, column.target()) else {
            return Err(malformed(path, "one part stands under a relation to one row"));
        };
        if part.create {
            if !self.may_change(table, column, path) {
                return Ok(One::Problem);
            }
            let step = self.step(self.schema.table(target), part, Role::Linked, None)?;
            let value = NewValue::Row(Box::new(step));
            return Ok(One::Row(Assign { column: id, path: path.to_owned(), is_shown: true, value }));
        }
        let step = self.step(self.schema.table(target), part, Role::Plain, None)?;
        Ok(One::Found(OneStep { column: id, step: Box::new(step) }))
    }

    /// A column gets one new value.
    fn refuse_twice(&self, table: &Table, assigns: &[Assign]) -> Result<(), Error> {
        for (index, assign) in assigns.iter().enumerate() {
            if assigns[..index].iter().any(|other| other.column == assign.column) {
                let name = &table.column(assign.column).name;
                return Err(malformed(&assign.path, format!("gives \"{name}\" a second value")));
            }
        }
        Ok(())
    }

    /// How the rows are found.
    fn finding(&mut self, table: &Table, part: &Part, role: Role) -> Result<Find, Error> {
        let constraint = shown::constraint_of(self.schema, table, part);
        let key = self.key_alone(table, &constraint);
        let (mut filter, mut params) = (Vec::new(), Vec::new());
        if key.is_none() {
            let mut resolver = Resolver::new(self.catalog, self.guard, self.limits);
            let seen = resolver.seen_filter(table.id, &constraint);
            filter = self.collect(seen)?.unwrap_or_default();
            params = resolver.params.into_values();
        }
        Ok(Find {
            filter,
            params,
            key,
            is_relation: role != Role::Plain,
            if_updated: self.version(table, part),
        })
    }

    /// The key of a part that says nothing else about its row; none either where it is no value of a key, which is told like that
    /// of any other column.
    fn key_alone(&self, table: &Table, constraint: &Part) -> Option<Value> {
        let [(name, Field::Scalar(raw))] = constraint.fields.as_slice() else { return None };
        if name != "id" || raw.get() == "null" || constraint.filter.is_some() || !constraint.params.is_empty()
        {
            return None;
        }
        let ty = &table.column(ColumnId::ID).ty;
        Value::from_json(raw.get(), ty).ok().filter(|key| key.check_length(ty).is_ok())
    }

    fn version(&mut self, table: &Table, part: &Part) -> Option<Timestamp> {
        let text = part.if_updated.as_ref()?;
        if table.updated.is_none() {
            let words = format!("{} has no `updated`, so there is no version to test", table.name);
            self.problems.add(join_path(&part.path, "if_updated"), "version", words);
            return None;
        }
        let version = Timestamp::parse(text);
        if version.is_none() {
            let path = join_path(&part.path, "if_updated");
            self.problems.add(
                path,
                "format",
                "must be the `updated` of a row, such as 2026-01-31T10:00:00.000000Z",
            );
        }
        version
    }
}

/// What a part under a to-one relation of a found row comes to.
enum One {
    Row(Assign),
    Found(OneStep),
    Problem,
}
