//! Where a database stands among the files of an app.

use mainstay_sql::migration::drift::Drift;
use mainstay_sql::migration::file::{File, FileError, fold};
use mainstay_sql::migration::ledger::Entry;
use mainstay_sql::model::{Beside, Model};

use super::{Known, MigrateError};

/// What the ledger says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Nothing.
    Pending,
    /// Some of its steps are done.
    Half {
        /// So many, from the first.
        done: usize,
    },
    /// It is done.
    Applied {
        /// When its last step was.
        at: String,
        /// Whether it was taken as done without being run.
        taken: bool,
        /// Whether the file is not what it was then.
        edited: bool,
    },
}

/// A database among the files of an app.
#[derive(Debug)]
pub struct Standing {
    /// What the ledger says of each file.
    pub files: Vec<FileState>,
    /// The schema after each file.
    pub models: Vec<Model>,
    /// Files whose lines in the ledger bear another number: which, and that number.
    pub renumbered: Vec<(usize, i64)>,
    /// What the ledger tells of and is not among the files.
    pub missing: Vec<String>,
    /// How the database differs from what the files that are applied leave.
    pub drift: Vec<Drift>,
    /// What is in the app's tables beside what the files leave.
    pub besides: Vec<Beside>,
    /// Without a ledger: how many files it is as if they were applied.
    pub is_like: Option<usize>,
}

/// Compares a database with the files of an app, in their order.
///
/// # Errors
/// When the files do not follow each other.
pub fn standing(known: &Known, files: &[File]) -> Result<Standing, FileError> {
    let models = fold(files)?;
    let mut renumbered = Vec::new();
    let mut taken: Vec<&Entry> = Vec::new();
    let mut states = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        let number = i64::from(file.number);
        let named = |entry: &&Entry| entry.name == file.name;
        let mut entries: Vec<&Entry> =
            known.ledger.iter().filter(named).filter(|entry| entry.number == number).collect();
        if entries.is_empty() {
            // The same file, with another number since two branches met.
            let is_it = |entry: &&Entry| {
                entry.checksum == file.checksum
                    && !files
                        .iter()
                        .any(|file| i64::from(file.number) == entry.number && file.name == entry.name)
            };
            if let Some(found) = known.ledger.iter().filter(named).find(is_it) {
                renumbered.push((index, found.number));
                entries =
                    known.ledger.iter().filter(named).filter(|entry| entry.number == found.number).collect();
            }
        }
        states.push(state(file, &entries));
        taken.extend(entries);
    }
    let mut missing: Vec<String> = known
        .ledger
        .iter()
        .filter(|entry| !taken.contains(entry))
        .map(|entry| format!("{:04}_{}", entry.number, entry.name))
        .collect();
    missing.dedup();
    let is_like = (known.ledger.is_empty() && !known.is_empty())
        .then(|| (1..=files.len()).rev().find(|count| known.drift(&models[count - 1]).is_empty()))
        .flatten();
    let last = states.iter().rposition(|state| matches!(state, FileState::Applied { .. }));
    let is_half = states.iter().any(|state| matches!(state, FileState::Half { .. }));
    let left = last.map(|index| &models[index]).filter(|_| !is_half);
    Ok(Standing {
        drift: left.map(|left| known.drift(left)).unwrap_or_default(),
        besides: left.map(|left| known.besides(left)).unwrap_or_default(),
        files: states,
        models,
        renumbered,
        missing,
        is_like,
    })
}

fn state(file: &File, entries: &[&Entry]) -> FileState {
    let last = entries.iter().filter_map(|entry| entry.finished.clone()).max();
    let (Some(at), Some(first)) = (last, entries.first()) else {
        return if entries.is_empty() { FileState::Pending } else { FileState::Half { done: 0 } };
    };
    let edited = entries.iter().any(|entry| entry.checksum != file.checksum);
    if first.step == 0 {
        return FileState::Applied { at, taken: first.steps > 0, edited };
    }
    let mut done = 0;
    while entries.iter().any(|entry| entry.finished.is_some() && usize::try_from(entry.step) == Ok(done + 1))
    {
        done += 1;
    }
    let steps = entries.iter().map(|entry| entry.steps).max().unwrap_or_default();
    if i64::try_from(done).is_ok_and(|done| done >= steps) {
        FileState::Applied { at, taken: false, edited }
    } else {
        FileState::Half { done }
    }
}

impl Standing {
    /// The schema that the applied files leave, with the last of them.
    pub fn left(&self) -> Option<&Model> {
        let last = self.files.iter().rposition(|state| matches!(state, FileState::Applied { .. }))?;
        self.models.get(last)
    }

    /// The files that are to be applied: which, and how many of their steps are done.
    pub fn to_do(&self) -> Vec<(usize, usize)> {
        let states = self.files.iter().enumerate();
        let open = states.filter_map(|(index, state)| match state {
            FileState::Pending => Some((index, 0)),
            FileState::Half { done } => Some((index, *done)),
            FileState::Applied { .. } => None,
        });
        open.collect()
    }

    /// Refuses what cannot be gone on from.
    pub(super) fn check(&self) -> Result<(), MigrateError> {
        if self.missing.is_empty() { Ok(()) } else { Err(MigrateError::Missing(self.missing.clone())) }
    }
}
