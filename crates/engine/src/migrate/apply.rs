//! Applying: file by file, transaction by transaction, each told in the ledger by the transaction itself.

use std::time::Duration;

use mainstay_sql::copy;
use mainstay_sql::migration::file::File;
use mainstay_sql::migration::{Mode, Step, ground, ledger};
use mainstay_sql::model::Model;
use mainstay_store::{Part, PartKind, Script, ScriptError, Store, Turn};

use super::{FileState, Known, MigrateError, Standing, look, standing};

/// How migrations are applied.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// Whether steps may lose values.
    pub may_destroy: bool,
    /// Whether a database may be other than its migrations left it.
    pub may_drift: bool,
    /// Whether files that a database is already as if they were applied are taken as done.
    pub may_take: bool,
    /// Only says what would be done.
    pub dry_run: bool,
    /// How long a step may wait for locks of others before it gives up.
    pub patience: Duration,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Applied {
    /// Files that were taken as done.
    pub taken: Vec<String>,
    /// Files that were run, and how many steps of each.
    pub run: Vec<(String, usize)>,
    /// What is worth saying: edits, drift that was allowed.
    pub remarks: Vec<String>,
}

/// Applies all files that are not applied yet. `say` is told of each step before it is run.
///
/// # Errors
/// Why nothing, or not everything, was done.
pub async fn apply(
    store: &Store,
    files: &[File],
    options: &ApplyOptions,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Applied, MigrateError> {
    // Looked at with nobody else changing it.
    let turn = store.turn().await?;
    let known = look(store).await?;
    if known.catalogue.table(copy::PROGRESS.name).is_some() {
        return Err(MigrateError::Unfinished);
    }
    let standing = standing(&known, files)?;
    standing.check()?;
    let mut applied = Applied::default();
    let run = Run { turn, known: &known, files, standing: &standing, options, say };
    let taken = run.taken(&mut applied)?;
    let to_do: Vec<(usize, usize)> =
        standing.to_do().into_iter().filter(|(index, _)| *index >= taken).collect();
    run.refuse(taken, &to_do, &mut applied)?;
    if options.dry_run {
        run.rehearse(taken, &to_do, &mut applied);
        return Ok(applied);
    }
    run.prepare(taken, &mut applied).await?;
    for (index, done) in &to_do {
        let steps = run.file(*index, *done).await?;
        applied.run.push((files[*index].title(), steps));
    }
    if let (false, Some(left)) = (to_do.is_empty() && taken == 0, standing.models.last()) {
        let drift = look(store).await?.drift(left);
        if !drift.is_empty() && !options.may_drift {
            return Err(MigrateError::Missed(drift));
        }
    }
    Ok(applied)
}

struct Run<'r> {
    turn: Turn<'r>,
    known: &'r Known,
    files: &'r [File],
    standing: &'r Standing,
    options: &'r ApplyOptions,
    say: &'r (dyn Fn(&str) + Sync),
}

impl Run<'_> {
    /// How many files, from the first, are taken as done.
    fn taken(&self, applied: &mut Applied) -> Result<usize, MigrateError> {
        let Standing { models, files, drift, .. } = self.standing;
        if self.known.ledger.is_empty() {
            if self.known.is_empty() || files.is_empty() {
                return Ok(0);
            }
            return match self.standing.is_like {
                Some(count) => Ok(count),
                None => Err(MigrateError::Unlike {
                    file: self.files[self.files.len() - 1].title(),
                    drifts: self.known.drift(&models[models.len() - 1]),
                }),
            };
        }
        let is_half = files.iter().any(|state| matches!(state, FileState::Half { .. }));
        let first = files.iter().position(|state| *state == FileState::Pending);
        let Some(first) = first.filter(|_| !is_half && self.options.may_take) else { return Ok(0) };
        // The database may be ahead of its ledger: a server in development brings it in step by itself.
        let like = (first..files.len()).rev().find(|index| self.known.drift(&models[*index]).is_empty());
        let is_told = like.is_some_and(|index| !drift.is_empty() || self.records(&models[index]));
        match like.filter(|_| is_told) {
            Some(index) => Ok(index + 1),
            None => {
                applied.remarks.extend(drift.iter().map(|drift| format!("{drift}, which no migration did")));
                Ok(0)
            }
        }
    }

    /// Whether exactly this was recorded of the database.
    fn records(&self, model: &Model) -> bool {
        self.known.is_recorded(model)
    }

    /// Looks for all that is in the way before anything is changed.
    fn refuse(
        &self,
        taken: usize,
        to_do: &[(usize, usize)],
        applied: &mut Applied,
    ) -> Result<(), MigrateError> {
        let Standing { files, drift, .. } = self.standing;
        for (file, state) in self.files.iter().zip(files) {
            if matches!(state, FileState::Applied { edited: true, .. }) {
                applied.remarks.push(format!("{} was edited after it was applied", file.title()));
            }
        }
        if taken == 0 && !drift.is_empty() && !self.options.may_drift {
            return Err(MigrateError::Drifted(drift.clone()));
        }
        let steps = to_do.iter().flat_map(|(index, done)| {
            let file = &self.files[*index];
            file.steps.iter().enumerate().skip(*done).map(move |(step, of)| (file, step, of))
        });
        let destructive = steps.clone().filter(|(.., step)| step.is_destructive);
        let destructive: Vec<String> = destructive
            .map(|(file, step, of)| format!("{}, step {}: {}", file.title(), step + 1, of.words))
            .collect();
        if !destructive.is_empty() && !self.options.may_destroy {
            return Err(MigrateError::Destructive(destructive));
        }
        let rebuilt: Vec<&String> = steps.filter_map(|(.., step)| step.rebuilds.as_ref()).collect();
        let lost = self.standing.besides.iter().find(|beside| {
            let is_kept = beside.what.starts_with("trigger ") || beside.what.starts_with("index ");
            !is_kept && rebuilt.contains(&&beside.table)
        });
        match lost {
            Some(beside) => {
                Err(MigrateError::Beside { table: beside.table.clone(), what: beside.what.clone() })
            }
            None => Ok(()),
        }
    }

    fn rehearse(&self, taken: usize, to_do: &[(usize, usize)], applied: &mut Applied) {
        applied.taken.extend(self.files[..taken].iter().map(File::title));
        for (index, done) in to_do {
            let file = &self.files[*index];
            for (step, of) in file.steps.iter().enumerate().skip(*done) {
                (self.say)(&format!("{}, step {}: {}", file.title(), step + 1, of.words));
            }
            applied.run.push((file.title(), file.steps.len() - done));
        }
    }

    /// The system's own tables, the numbers that files have now, and what is taken as done.
    async fn prepare(&self, taken: usize, applied: &mut Applied) -> Result<(), MigrateError> {
        let dialect = self.known.dialect;
        let mut statements = ground(dialect, &self.known.catalogue);
        let renumbered = &self.standing.renumbered;
        statements.extend(
            renumbered.iter().map(|(index, number)| ledger::renumber(dialect, &self.files[*index], *number)),
        );
        for (file, _) in self.files[..taken]
            .iter()
            .zip(&self.standing.files)
            .filter(|(_, state)| **state == FileState::Pending)
        {
            statements.push(ledger::note(dialect, file, 0, true));
            applied.taken.push(file.title());
        }
        if let Some(index) = taken.checked_sub(1) {
            statements.push(ledger::record(dialect, &self.standing.models[index]));
        }
        if statements.is_empty() {
            return Ok(());
        }
        let done = self.turn.run(self.script(vec![run(statements)], true)).await;
        done.map_err(|error| {
            MigrateError::Store(match error {
                ScriptError::Store(error) | ScriptError::Statement { error, .. } => error,
                ScriptError::Found { .. } => mainstay_store::StoreError::ForeignKey,
            })
        })
    }

    fn script(&self, parts: Vec<Part>, in_transaction: bool) -> Script {
        Script { parts, in_transaction, patience: self.options.patience }
    }

    /// Runs what is left of a file; how many steps that were.
    async fn file(&self, index: usize, done: usize) -> Result<usize, MigrateError> {
        let (file, dialect) = (&self.files[index], self.known.dialect);
        let record = || ledger::record(dialect, &self.standing.models[index]);
        if file.steps.len() <= done {
            let statements = vec![ledger::note(dialect, file, done, true), record()];
            self.run(file, done, vec![run(statements)], true).await?;
            return Ok(0);
        }
        let mut next = done;
        while next < file.steps.len() {
            let mode = file.steps[next].mode;
            let joined = file.steps[next..].iter().take_while(|step| step.mode == Mode::Joined).count();
            let end = next + joined.max(1);
            let is_last = end == file.steps.len();
            for (number, step) in file.steps[next..end].iter().enumerate() {
                (self.say)(&format!("{}, step {}: {}", file.title(), next + number + 1, step.words));
            }
            if mode == Mode::Outside {
                let begun = run(vec![ledger::note(dialect, file, end, false)]);
                self.run(file, next, vec![begun], true).await?;
                self.run(file, next, vec![part(&file.steps[next])], false).await?;
                let mut ended = vec![ledger::note(dialect, file, end, true)];
                ended.extend(is_last.then(record));
                self.run(file, next, vec![run(ended)], true).await?;
            } else {
                let mut parts = Vec::new();
                for (step, of) in file.steps[next..end].iter().enumerate() {
                    let mut noted = vec![ledger::note(dialect, file, next + step + 1, true)];
                    noted.extend((is_last && next + step + 1 == end).then(record));
                    parts.extend([part(of), run(noted)]);
                }
                self.run(file, next, parts, true).await?;
            }
            next = end;
        }
        Ok(file.steps.len() - done)
    }

    async fn run(
        &self,
        file: &File,
        first: usize,
        parts: Vec<Part>,
        in_transaction: bool,
    ) -> Result<(), MigrateError> {
        let is_single = parts.len() == 1;
        let error = match self.turn.run(self.script(parts, in_transaction)).await {
            Ok(()) => return Ok(()),
            Err(ScriptError::Store(error)) => return Err(error.into()),
            Err(error) => error,
        };
        let part = match &error {
            ScriptError::Found { part, .. } | ScriptError::Statement { part, .. } => *part,
            ScriptError::Store(_) => 0,
        };
        // Behind each part with a step stands one that notes it.
        let step = if is_single { first } else { first + part / 2 };
        let behind = match (first, in_transaction) {
            (0, true) => "\nNothing of this migration was kept",
            _ => "\nThe steps before it are kept; `mainstay migrate apply` goes on from there",
        };
        let words = file.steps.get(step).map(|step| step.words.clone()).unwrap_or_default();
        Err(MigrateError::Step { file: file.title(), step: step + 1, words, error: Box::new(error), behind })
    }
}

fn run(statements: Vec<String>) -> Part {
    Part { kind: PartKind::Run, statements }
}

fn part(step: &Step) -> Part {
    let kind = match &step.rebuilds {
        _ if step.is_check => PartKind::Look,
        Some(table) => PartKind::Rebuild(table.clone()),
        None => PartKind::Run,
    };
    Part { kind, statements: step.statements.clone() }
}
