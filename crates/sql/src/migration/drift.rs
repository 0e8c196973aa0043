//! How a database differs from what was recorded of it: what somebody changed beside the migrations.

use std::fmt;

use crate::model::{Misfit, Model, ModelColumn};

/// A table, column or index that is not as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// `Table`, `Table.column` or an index's name, as in the database.
    pub place: String,
    /// How it differs.
    pub words: String,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.words)
    }
}

/// All differences between what was recorded and what was found, in words. What is found beside it is no difference: it may be
/// somebody else's.
pub fn drift(recorded: &Model, found: &Model, misfits: &[Misfit]) -> Vec<Drift> {
    let mut drifts = Vec::new();
    let mut note = |place: String, words: String| drifts.push(Drift { place, words });
    for (name, table) in &recorded.tables {
        let Some(there) = found.tables.get(name) else {
            note(name.clone(), "is missing".to_owned());
            continue;
        };
        for (column, recorded) in &table.columns {
            let place = format!("{name}.{column}");
            let misfit = misfits.iter().find(|misfit| misfit.table == *name && misfit.column == *column);
            match (there.columns.get(column), misfit) {
                (Some(found), _) => {
                    column_drift(recorded, found).into_iter().for_each(|words| note(place.clone(), words));
                }
                (None, Some(misfit)) => {
                    note(place, format!("is {} and should be {}", misfit.found, misfit.expected))
                }
                (None, None) => note(place, "is missing".to_owned()),
            }
        }
        for (_, index) in table.indexes.iter().filter(|(key, _)| !there.indexes.contains_key(*key)) {
            note(format!("the index {}", index.name), "is missing or not valid".to_owned());
        }
        for (_, index) in there.indexes.iter().filter(|(key, _)| !table.indexes.contains_key(*key)) {
            note(format!("the index {}", index.name), "is there, though no migration made it".to_owned());
        }
    }
    drifts
}

fn column_drift(recorded: &ModelColumn, found: &ModelColumn) -> Vec<String> {
    let mut words = Vec::new();
    if recorded.nullable != found.nullable {
        let (is, was) =
            if found.nullable { ("may be null", "required") } else { ("is required", "nullable") };
        words.push(format!("{is} and was recorded as {was}"));
    }
    if recorded.key != found.key {
        words.push(if found.key { "is a key".to_owned() } else { "is no key".to_owned() });
    }
    if recorded.references != found.references {
        let name = |table: &Option<String>| table.clone().unwrap_or_else(|| "no table".to_owned());
        let (is, was) = (name(&found.references), name(&recorded.references));
        words.push(format!("refers to {is} and was recorded as referring to {was}"));
    }
    if recorded.default.is_some() != found.default.is_some() {
        let is = if found.default.is_some() { "has a default" } else { "has lost its default" };
        words.push(is.to_owned());
    }
    words
}
