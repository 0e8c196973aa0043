//! One step after the other, and what its rows become in the answer.

use std::future::Future;
use std::pin::Pin;

use mainstay_lang::schema::{ColumnId, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::dialect::Lock;

use super::Run;
use crate::error::{Error, Key};
use crate::write::plan::{Assign, Find, NewValue, Source, Step};
use crate::write::rows::{Image, Kind};

/// Where a step stands: which rows it may find, and what it fills in a row that it makes.
#[derive(Clone, Debug)]
pub(in crate::write) struct Place {
    /// Rows outside are not found.
    pub(super) among: Among,
    /// Exactly one row must be found.
    pub(super) one: bool,
    /// The column that refers to the row around.
    pub(super) given: Option<(ColumnId, Value)>,
    /// What the rows are found for at least.
    pub(super) lock: Lock,
}

impl Default for Place {
    fn default() -> Place {
        Place { among: Among::All, one: false, given: None, lock: Lock::Hold }
    }
}

/// Rows that a step may find.
#[derive(Clone, Debug, Default)]
pub(super) enum Among {
    /// Any.
    #[default]
    All,
    /// Those with these keys.
    Keys(Vec<Value>),
    /// Those whose column has this value.
    Column(ColumnId, Value),
}

/// A row of the answer, until it is read at the end of the request.
#[derive(Clone, Debug)]
pub(in crate::write) struct AnswerRow<'p> {
    /// The step that says what is shown.
    pub(in crate::write) step: &'p Step,
    /// Its key.
    pub(in crate::write) key: Value,
    /// What stands under its relations, in the order of the request.
    pub(in crate::write) nested: Vec<Nested<'p>>,
    /// As it was shown before it was deleted: a JSON object.
    pub(in crate::write) was: Option<String>,
    /// What its own step did to it; `None`: nothing, but others may have.
    pub(in crate::write) done: Option<Kind>,
}

/// What stands under a relation of a row of the answer.
#[derive(Clone, Debug)]
pub(in crate::write) struct Nested<'p> {
    /// The relation's name.
    pub(in crate::write) name: &'p str,
    /// An array, or one row or null.
    pub(in crate::write) is_list: bool,
    /// The rows.
    pub(in crate::write) rows: Vec<AnswerRow<'p>>,
}

impl<'p> AnswerRow<'p> {
    pub(super) fn new(step: &'p Step, key: Value) -> AnswerRow<'p> {
        AnswerRow { step, key, nested: Vec::new(), was: None, done: None }
    }

    /// Puts rows under a relation, behind those that stand there.
    pub(super) fn nest(&mut self, name: &'p str, is_list: bool, rows: Vec<AnswerRow<'p>>) {
        match self.nested.iter_mut().find(|nested| nested.name == name) {
            Some(nested) => nested.rows.extend(rows),
            None => self.nested.push(Nested { name, is_list, rows }),
        }
    }
}

/// What a step does, as a future that can stand in itself.
pub(super) type StepFuture<'f, 'p> =
    Pin<Box<dyn Future<Output = Result<Vec<AnswerRow<'p>>, Error>> + Send + 'f>>;

impl<'a> Run<'a> {
    /// Carries out a step and answers its rows.
    pub(in crate::write) fn step<'f, 'p: 'f>(&'f mut self, step: &'p Step, place: Place) -> StepFuture<'f, 'p>
    where
        'a: 'f,
        'a: 'p,
    {
        Box::pin(async move {
            let mark = self.afters.len();
            let mut rows = match &step.source {
                Source::Create => vec![self.create(step, place.given).await?],
                Source::Find(find) => Box::pin(self.change(step, find, &place)).await?,
            };
            self.ask_afters(mark).await?;
            if step.deletes {
                Box::pin(self.delete_found(step, &mut rows)).await?;
            }
            Ok(rows)
        })
    }

    /// Rows that were found, and what happens to them short of their deletion.
    async fn change<'p>(
        &mut self,
        step: &'p Step,
        find: &Find,
        place: &Place,
    ) -> Result<Vec<AnswerRow<'p>>, Error>
    where
        'a: 'p,
    {
        let images = self.find(step, find, place).await?;
        if let (Some(version), Some(updated)) = (find.if_updated, self.schema().table(step.table).updated)
            && images.iter().any(|image| image[updated.0 as usize] != Value::Timestamp(version))
        {
            let message = "the row was changed since it was read; its `updated` is another one now";
            return Err(Error::at(Key::Version, format!("{}/if_updated", step.path), "version", message));
        }
        let mut rows: Vec<AnswerRow<'p>> =
            images.iter().map(|image| AnswerRow::new(step, image[0].clone())).collect();
        let table = self.schema().table(step.table);
        for one in &step.ones {
            for (image, row) in images.iter().zip(&mut rows) {
                let Some(current) = self.rows.current(step.table, image) else { continue };
                let key = current[one.column.0 as usize].clone();
                let mut found = Vec::new();
                // A reference that the caller may not read leads nowhere.
                if !key.is_null() && self.is_column_readable(step.table, one.column, &current).await? {
                    let place = Place { among: Among::Keys(vec![key]), ..Place::default() };
                    found = self.step(&one.step, place).await?;
                }
                row.nest(&table.column(one.column).name, false, found);
            }
        }
        if !step.assigns.is_empty() && !images.is_empty() {
            let assigned = self.assigned(step.table, &step.assigns, References::Asked).await?;
            for (image, row) in images.iter().zip(&mut rows) {
                row.nested.extend(assigned.nested.iter().cloned());
                let Some(current) = self.rows.current(step.table, image) else { continue };
                if self.set(step, &current, &assigned.values).await? {
                    row.done = Some(Kind::Edited);
                }
            }
            self.tell_updates(&step.path).await?;
        }
        self.lists(step, &images, &mut rows).await?;
        Ok(rows)
    }

    /// What happens to the to-many relations of rows.
    pub(super) async fn lists<'p>(
        &mut self,
        step: &'p Step,
        images: &[Image],
        rows: &mut [AnswerRow<'p>],
    ) -> Result<(), Error>
    where
        'a: 'p,
    {
        let table = self.schema().table(step.table);
        for list in &step.lists {
            for (image, row) in images.iter().zip(&mut *rows) {
                let Some(current) = self.rows.current(step.table, image) else { continue };
                let found = Box::pin(self.list(step.table, &current, list)).await?;
                if list.is_shown {
                    row.nest(&table.relation(list.relation).name, true, found);
                }
            }
        }
        Ok(())
    }

    /// The values of columns named in a write: rows that they refer to are made or found once, for all rows written.
    pub(super) async fn assigned<'p>(
        &mut self,
        table: TableId,
        assigns: &'p [Assign],
        references: References,
    ) -> Result<Assigned<'p>, Error>
    where
        'a: 'p,
    {
        let table = self.schema().table(table);
        let mut assigned =
            Assigned { values: Vec::with_capacity(assigns.len()), nested: Vec::new(), left: Vec::new() };
        for assign in assigns {
            let column = table.column(assign.column);
            let lock = self.lock_to_refer(table, assign.column);
            let value = match &assign.value {
                NewValue::Given(value) => Assigning::Value(value.clone()),
                NewValue::Computed(operator, operand) => Assigning::Computed(*operator, operand.clone()),
                NewValue::Key(key) => {
                    let target = column.target().expect("only references are given as keys");
                    if references == References::Left && self.may_leave(table.id, target, key, lock) {
                        assigned.left.push(Left { target, key, path: &assign.path });
                    } else {
                        self.require_readable(target, key, lock, &assign.path).await?;
                    }
                    Assigning::Value(key.clone())
                }
                NewValue::Row(step) => {
                    let place = Place { one: true, lock, ..Place::default() };
                    let rows = self.step(step, place).await?;
                    let row = rows.into_iter().next().expect("exactly one row was asked for");
                    let key = row.key.clone();
                    if assign.is_shown {
                        assigned.nested.push(Nested { name: &column.name, is_list: false, rows: vec![row] });
                    }
                    Assigning::Value(key)
                }
            };
            assigned.values.push((assign, value));
        }
        Ok(assigned)
    }
}

/// The values of columns named in a write.
#[derive(Debug)]
pub(super) struct Assigned<'p> {
    /// What each column gets.
    pub(super) values: Vec<(&'p Assign, Assigning)>,
    /// Rows that were made or found for them.
    pub(super) nested: Vec<Nested<'p>>,
    /// References that the database looks at when the row is written.
    pub(super) left: Vec<Left<'p>>,
}

/// What is done about references that are given as keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum References {
    /// Each is looked up.
    Asked,
    /// Those are left to the database that it can judge as well.
    Left,
}

/// A reference that was left to the database.
#[derive(Debug)]
pub(super) struct Left<'p> {
    pub(super) target: TableId,
    pub(super) key: &'p Value,
    pub(super) path: &'p str,
}

/// What a column gets.
#[derive(Clone, Debug)]
pub(super) enum Assigning {
    /// This.
    Value(Value),
    /// Something computed from what it holds.
    Computed(crate::write::operator::Operator, Value),
}
