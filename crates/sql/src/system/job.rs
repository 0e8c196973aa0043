//! The table of jobs, its indexes, and what is done with it.
//!
//! A job is `scheduled` until its time has come, `ready` until a worker takes it, `blocked` while others of its key run, `waiting`
//! while the jobs of its batch do, `running` under a lease, and in the end `done`, `dead` or `cancelled`. States are taken apart so that
//! each question is answered by a partial index that holds what is asked for and nothing else: a million jobs that wait for their time,
//! or whose name nobody here knows, stand in nobody's way. Many rows come and go as one JSON text, so that a statement has one spelling
//! however many they are. Nothing here knows what a job does.

use mainstay_lang::schema::Schema;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use super::{SystemColumn, SystemIndex, SystemTable, TEXT, column, nullable};
use crate::dialect::{ColumnRole, Dialect};
use crate::statement::{Bind, ResultShape, Statement};
use crate::writer::Writer;

/// The jobs. `args` is what the handler is given; `attempt` counts how often it was begun; `worker` and `lease_until` say who runs it
/// and until when that is believed; `batch` is the job that waits for this one.
pub const JOB: SystemTable = SystemTable {
    name: "_job",
    columns: &[
        SystemColumn { name: "id", ty: Type::Uuid, nullable: false, role: ColumnRole::Key },
        column("created", Type::Timestamp),
        column("updated", Type::Timestamp),
        column("name", TEXT),
        column("queue", TEXT),
        column("priority", Type::Int),
        column("state", TEXT),
        column("args", Type::Json),
        column("run_at", Type::Timestamp),
        column("attempt", Type::Int),
        column("attempts_max", Type::Int),
        nullable("timeout_ms", Type::Int),
        column("cancel", Type::Bool),
        nullable("worker", TEXT),
        nullable("lease_until", Type::Timestamp),
        nullable("started", Type::Timestamp),
        nullable("finished", Type::Timestamp),
        nullable("error", TEXT),
        nullable("progress", Type::Json),
        nullable("unique_key", TEXT),
        nullable("limit_key", TEXT),
        nullable("batch", Type::Uuid),
        nullable("request", TEXT),
        nullable("trace", TEXT),
        nullable("actor", TEXT),
        nullable("tenant", TEXT),
    ],
    key: &[],
};

const fn partial(name: &'static str, columns: &'static [&'static str], of: &'static str) -> SystemIndex {
    SystemIndex { name, table: &JOB, columns, unique: false, of: Some(of) }
}

pub(super) const INDEXES: [SystemIndex; 8] = [
    partial("_job.ready", &["name", "-priority", "run_at", "id"], "\"state\" = 'ready'"),
    partial("_job.scheduled", &["run_at"], "\"state\" = 'scheduled'"),
    partial("_job.running", &["lease_until"], "\"state\" = 'running'"),
    partial("_job.blocked", &["limit_key", "-priority", "run_at", "id"], "\"state\" = 'blocked'"),
    partial("_job.waiting", &["id"], "\"state\" = 'waiting'"),
    partial("_job.batch", &["batch"], "\"batch\" IS NOT NULL AND \"finished\" IS NULL"),
    partial("_job.finished", &["finished"], "\"finished\" IS NOT NULL"),
    SystemIndex {
        unique: true,
        ..partial("_job.unique", &["name", "unique_key"], "\"unique_key\" IS NOT NULL")
    },
];

/// The order in which jobs are taken.
const IN_ORDER: &str = " ORDER BY \"priority\" DESC, \"run_at\", \"id\" LIMIT ";

/// Whether a job that was found by its id is in a state. Said so that no partial index holds it: one of those that is believed to be
/// small would be read whole for each id.
fn is_in(table: &str, state: &str) -> String {
    format!("coalesce({table}\"state\", '') = '{state}'")
}

/// What happens where a job of the same name and unique key waits already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// There are no keys in what is inserted.
    None,
    /// The one that waits stays as it is.
    Ignore,
    /// The one that waits gets the arguments, the time and the priority of the new one.
    Replace,
}

/// What each row given to [`insert`] says.
const GIVEN: [&str; 17] = [
    "id",
    "name",
    "queue",
    "priority",
    "state",
    "args",
    "run_at",
    "attempts_max",
    "timeout_ms",
    "unique_key",
    "limit_key",
    "batch",
    "request",
    "trace",
    "actor",
    "tenant",
    "cancel",
];

fn of(name: &str) -> &'static SystemColumn {
    JOB.columns.iter().find(|column| column.name == name).expect("the column is declared above")
}

impl Writer<'_> {
    /// Rows given as a JSON text, under the name `given`.
    fn given(&mut self, param: u32, columns: &[(&str, &Type)]) {
        let template = self.dialect.json_rows(columns);
        self.template(&template, |w, _| w.bind(Bind::Param(param), &Type::Json));
    }

    /// Those ids of a JSON text.
    fn given_ids(&mut self, param: u32) {
        self.text("(SELECT \"given\".\"id\" FROM ");
        self.given(param, &[("id", &Type::Uuid)]);
        self.text(")");
    }

    /// Ids of some of the rows of a condition, in an order, at most `Param(limit)` of them, passing over those that somebody else has
    /// under a lock.
    fn some(&mut self, condition: impl FnOnce(&mut Self), order: &str, limit: u32) {
        let (before, behind) = self.dialect.among(true);
        self.text("\"id\"");
        self.text(before);
        self.text("SELECT \"id\" FROM \"_job\" WHERE ");
        condition(self);
        self.text(order);
        self.bind(Bind::Param(limit), &Type::Int);
        let lock = self.dialect.lock_free();
        self.text(lock);
        self.text(behind);
    }

    fn all_columns(self) -> Statement {
        self.finish(ResultShape::Values(JOB.columns.iter().map(|column| column.ty.clone()).collect()))
    }
}

fn select_all(w: &mut Writer<'_>) {
    w.text("SELECT ");
    w.separated(", ", JOB.columns, |w, column| w.identifier(column.name));
    w.text(" FROM \"_job\"");
}

/// Makes jobs. Parameters: rows with the members of [`JOB`] but the times, and without what only a worker knows, as a JSON text; now.
/// Tells the id of each row that was made or replaced, in any order, unless no keys are given.
pub fn insert(schema: &Schema, dialect: &dyn Dialect, conflict: Conflict) -> Statement {
    let mut w = Writer::new(schema, dialect);
    let given = GIVEN.map(|name| (name, &of(name).ty));
    w.text("INSERT INTO \"_job\" (\"created\", \"updated\", \"attempt\", ");
    w.separated(", ", given, |w, (name, _)| w.identifier(name));
    w.text(") SELECT ");
    w.bind(Bind::Param(1), &Type::Timestamp);
    w.text(", ");
    w.bind(Bind::Param(1), &Type::Timestamp);
    w.text(", 0, ");
    w.separated(", ", given, |w, (name, _)| {
        w.text("\"given\".");
        w.identifier(name);
    });
    w.text(" FROM ");
    w.given(0, &given);
    // Without a condition SQLite takes ON for the beginning of a join.
    w.text(" WHERE TRUE");
    if conflict == Conflict::None {
        return w.finish(ResultShape::Nothing);
    }
    w.text(" ON CONFLICT (\"name\", \"unique_key\") WHERE \"unique_key\" IS NOT NULL DO ");
    match conflict {
        Conflict::Replace => {
            w.text("UPDATE SET ");
            w.separated(", ", ["args", "run_at", "priority", "state", "updated"], |w, name| {
                w.identifier(name);
                w.text(" = excluded.");
                w.identifier(name);
            });
        }
        _ => w.text("NOTHING"),
    }
    w.text(" RETURNING \"id\"");
    w.finish(ResultShape::Values(vec![Type::Uuid]))
}

/// The job that waits under a unique key. Parameters: name, key.
pub fn find_unique(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT \"id\" FROM \"_job\"");
    w.where_system(&JOB, &["name", "unique_key"]);
    w.finish(ResultShape::Values(vec![Type::Uuid]))
}

/// Lets jobs be taken whose time has come. Parameters: now, how many at most.
pub fn promote(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("UPDATE \"_job\" SET \"state\" = 'ready', \"updated\" = ");
    w.bind(Bind::Param(0), &Type::Timestamp);
    w.text(" WHERE ");
    let due = |w: &mut Writer<'_>| {
        w.text("\"state\" = 'scheduled' AND \"run_at\" <= ");
        w.bind(Bind::Param(0), &Type::Timestamp);
    };
    w.some(due, " ORDER BY \"run_at\" LIMIT ", 1);
    w.text(" RETURNING \"id\"");
    w.finish(ResultShape::Values(vec![Type::Uuid]))
}

/// When the next job's time comes.
pub fn next_due(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT \"run_at\" FROM \"_job\" WHERE \"state\" = 'scheduled' ORDER BY \"run_at\" LIMIT 1");
    w.finish(ResultShape::Values(vec![Type::Timestamp]))
}

/// Names that are taken from together, and at most so many of them where `limited`.
#[derive(Clone, Debug)]
pub struct PickQueue {
    /// The names of its jobs.
    pub names: Vec<String>,
    /// Whether there is a parameter for how many.
    pub limited: bool,
}

/// Parameters of [`pick`] before those of its queues.
const PICK_LIMITS: u32 = 2;

/// Jobs to be taken, locked: all columns, the first to be run first. Parameters: how many are looked at; how many at most; then
/// for each queue how many of it where it is limited, and for each of its names how many of that.
///
/// More are looked at than taken, because others may be taking them.
pub fn pick(schema: &Schema, dialect: &dyn Dialect, queues: &[PickQueue]) -> Statement {
    let mut w = Writer::new(schema, dialect);
    let mut param = PICK_LIMITS;
    let mut next = || {
        param += 1;
        param - 1
    };
    let (before, behind) = dialect.among(true);
    select_all(&mut w);
    w.text(" WHERE ");
    w.text(&is_in("", "ready"));
    w.text(" AND \"id\"");
    w.text(before);
    w.text("SELECT \"id\" FROM (");
    w.separated(" UNION ALL ", queues, |w, queue| {
        let limit = queue.limited.then(&mut next);
        if limit.is_some() {
            w.text("SELECT * FROM (SELECT * FROM (");
        }
        w.separated(" UNION ALL ", &queue.names, |w, name| {
            w.text("SELECT * FROM (SELECT \"id\", \"priority\", \"run_at\" FROM \"_job\" WHERE \"state\" = 'ready' AND \"name\" = ");
            w.bind(Bind::Value(Value::Text(name.clone())), &TEXT);
            w.text(IN_ORDER);
            w.bind(Bind::Param(next()), &Type::Int);
            w.text(") AS \"of_name\"");
        });
        if let Some(limit) = limit {
            w.text(") AS \"names\"");
            w.text(IN_ORDER);
            w.bind(Bind::Param(limit), &Type::Int);
            w.text(") AS \"queue\"");
        }
    });
    w.text(") AS \"queues\"");
    w.text(IN_ORDER);
    w.bind(Bind::Param(0), &Type::Int);
    w.text(behind);
    w.text(IN_ORDER);
    w.bind(Bind::Param(1), &Type::Int);
    w.text(dialect.lock_free());
    w.all_columns()
}

/// Marks jobs as running. Parameters: their ids as `[{"id": …}]`; worker; until when; now.
pub fn mark(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("UPDATE \"_job\" SET \"state\" = 'running', \"attempt\" = \"attempt\" + 1, \"unique_key\" = NULL, \"worker\" = ");
    w.bind(Bind::Param(1), &TEXT);
    w.text(", \"lease_until\" = ");
    w.bind(Bind::Param(2), &Type::Timestamp);
    set_times(&mut w, ["started", "updated"], 3);
    w.text(" WHERE \"id\" IN ");
    w.given_ids(0);
    w.finish(ResultShape::Nothing)
}

/// Puts jobs aside until others of their key have run. Parameters: their ids as `[{"id": …}]`; now.
pub fn park(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("UPDATE \"_job\" SET \"state\" = 'blocked', \"updated\" = ");
    w.bind(Bind::Param(1), &Type::Timestamp);
    w.text(" WHERE \"id\" IN ");
    w.given_ids(0);
    w.finish(ResultShape::Nothing)
}

/// How many jobs of a key run. Parameter: the key.
pub fn running_of_key(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    running_of(schema, dialect, "limit_key")
}

/// How many jobs of a queue run. Parameter: the queue.
pub fn running_of_queue(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    running_of(schema, dialect, "queue")
}

fn running_of(schema: &Schema, dialect: &dyn Dialect, name: &str) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT count(*) FROM \"_job\" WHERE \"state\" = 'running' AND ");
    w.identifier(name);
    w.text(" = ");
    w.bind(Bind::Param(0), &TEXT);
    w.finish(ResultShape::Values(vec![Type::Int]))
}

/// Keys of which jobs were put aside. Parameters: the key behind which they are looked for; how many at most.
pub fn blocked_keys(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text(
        "SELECT \"limit_key\", min(\"name\") FROM \"_job\" WHERE \"state\" = 'blocked' AND \"limit_key\" > ",
    );
    w.bind(Bind::Param(0), &TEXT);
    w.text(" GROUP BY \"limit_key\" ORDER BY \"limit_key\" LIMIT ");
    w.bind(Bind::Param(1), &Type::Int);
    w.finish(ResultShape::Values(vec![TEXT, TEXT]))
}

/// Lets jobs be taken that were put aside. Parameters: key, how many at most, now.
pub fn release(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("UPDATE \"_job\" SET \"state\" = 'ready', \"updated\" = ");
    w.bind(Bind::Param(2), &Type::Timestamp);
    w.text(" WHERE ");
    let of_key = |w: &mut Writer<'_>| {
        w.text("\"state\" = 'blocked' AND \"limit_key\" = ");
        w.bind(Bind::Param(0), &TEXT);
    };
    w.some(of_key, IN_ORDER, 1);
    w.text(" RETURNING \"id\"");
    w.finish(ResultShape::Values(vec![Type::Uuid]))
}

/// Sets columns to a time, behind others.
fn set_times(w: &mut Writer<'_>, columns: [&str; 2], param: u32) {
    for column in columns {
        w.text(", ");
        w.identifier(column);
        w.text(" = ");
        w.bind(Bind::Param(param), &Type::Timestamp);
    }
}

/// Lets jobs be taken that waited for their batch, when all of that is finished. Parameter: now.
pub fn release_batches(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("UPDATE \"_job\" SET \"state\" = 'ready'");
    set_times(&mut w, ["run_at", "updated"], 0);
    w.text(" WHERE \"state\" = 'waiting' AND NOT EXISTS (SELECT 1 FROM \"_job\" AS \"member\" WHERE \"member\".\"batch\" = \"_job\".\"id\" AND \"member\".\"finished\" IS NULL AND \"member\".\"batch\" IS NOT NULL) RETURNING \"id\"");
    w.finish(ResultShape::Values(vec![Type::Uuid]))
}

/// Renews the leases of jobs that are still a worker's, and tells which those are and whether they are to be cancelled. Parameters:
/// their ids as `[{"id": …}]`; worker; until when.
pub fn renew(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("UPDATE \"_job\" SET \"lease_until\" = ");
    w.bind(Bind::Param(2), &Type::Timestamp);
    w.text(" WHERE ");
    w.text(&is_in("", "running"));
    w.text(" AND \"worker\" = ");
    w.bind(Bind::Param(1), &TEXT);
    w.text(" AND \"id\" IN ");
    w.given_ids(0);
    w.text(" RETURNING \"id\", \"cancel\"");
    w.finish(ResultShape::Values(vec![Type::Uuid, Type::Bool]))
}

/// What each row given to [`settle`] says.
fn outcome() -> [(&'static str, &'static Type); 7] {
    const UNDONE: &Type = &Type::Int;
    let own = |name| (name, &of(name).ty);
    [
        own("id"),
        own("attempt"),
        own("state"),
        own("run_at"),
        own("finished"),
        own("error"),
        ("undone", UNDONE),
    ]
}

/// Writes what has become of jobs that are still a worker's, and tells which those are. Parameters: rows of `id`, `attempt` (which
/// run of it), `state`, `run_at` (null: as it was), `finished`, `error` (null: as it was) and `undone` (how many attempts were none), as a
/// JSON text; worker; now.
pub fn settle(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("UPDATE \"_job\" SET \"state\" = \"given\".\"state\", \"finished\" = \"given\".\"finished\", ");
    w.text("\"run_at\" = coalesce(\"given\".\"run_at\", \"_job\".\"run_at\"), ");
    w.text("\"error\" = coalesce(\"given\".\"error\", \"_job\".\"error\"), ");
    w.text("\"attempt\" = \"_job\".\"attempt\" - \"given\".\"undone\", ");
    w.text("\"worker\" = NULL, \"lease_until\" = NULL, \"updated\" = ");
    w.bind(Bind::Param(2), &Type::Timestamp);
    w.text(" FROM ");
    w.given(0, &outcome());
    w.text(" WHERE \"_job\".\"id\" = \"given\".\"id\" AND \"_job\".\"attempt\" = \"given\".\"attempt\" AND ");
    w.text(&is_in("\"_job\".", "running"));
    w.text(" AND \"_job\".\"worker\" = ");
    w.bind(Bind::Param(1), &TEXT);
    w.text(" RETURNING \"_job\".\"id\"");
    w.finish(ResultShape::Values(vec![Type::Uuid]))
}

/// The same for those that were done and of which nothing else is to be said, which most are. Parameters: rows of `id` and `attempt` as
/// a JSON text; worker; now.
pub fn finish(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("UPDATE \"_job\" SET \"state\" = 'done', \"worker\" = NULL, \"lease_until\" = NULL");
    set_times(&mut w, ["finished", "updated"], 2);
    w.text(" FROM ");
    w.given(0, &outcome()[..2]);
    w.text(" WHERE \"_job\".\"id\" = \"given\".\"id\" AND \"_job\".\"attempt\" = \"given\".\"attempt\" AND ");
    w.text(&is_in("\"_job\".", "running"));
    w.text(" AND \"_job\".\"worker\" = ");
    w.bind(Bind::Param(1), &TEXT);
    w.text(" RETURNING \"_job\".\"id\"");
    w.finish(ResultShape::Values(vec![Type::Uuid]))
}

/// Takes jobs back whose lease has ended: to be run again, or dead when that was their last attempt. Parameters: now; how many at
/// most; the words of the error. Tells their ids and what they are now.
pub fn rescue(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let now = |w: &mut Writer<'_>| w.bind(Bind::Param(0), &Type::Timestamp);
    let mut w = Writer::new(schema, dialect);
    w.text("UPDATE \"_job\" SET \"state\" = CASE WHEN \"cancel\" THEN 'cancelled' WHEN \"attempt\" >= \"attempts_max\" THEN 'dead' ELSE 'ready' END, ");
    w.text("\"finished\" = CASE WHEN \"cancel\" OR \"attempt\" >= \"attempts_max\" THEN ");
    now(&mut w);
    w.text(" END, \"worker\" = NULL, \"lease_until\" = NULL, \"updated\" = ");
    now(&mut w);
    w.text(", \"error\" = ");
    w.bind(Bind::Param(2), &TEXT);
    w.text(" WHERE ");
    let lost = |w: &mut Writer<'_>| {
        w.text("\"state\" = 'running' AND \"lease_until\" < ");
        w.bind(Bind::Param(0), &Type::Timestamp);
    };
    w.some(lost, " ORDER BY \"lease_until\" LIMIT ", 1);
    w.text(" RETURNING \"id\", \"state\"");
    w.finish(ResultShape::Values(vec![Type::Uuid, TEXT]))
}

/// Cancels jobs that do not run, and asks those that do to stop. Parameters: their ids as `[{"id": …}]`; now. Tells their ids and
/// what they are now.
pub fn cancel(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("UPDATE \"_job\" SET \"cancel\" = TRUE, \"state\" = CASE WHEN \"state\" = 'running' THEN 'running' ELSE 'cancelled' END, ");
    w.text("\"unique_key\" = NULL, \"finished\" = CASE WHEN \"state\" <> 'running' THEN ");
    w.bind(Bind::Param(1), &Type::Timestamp);
    w.text(" END, \"updated\" = ");
    w.bind(Bind::Param(1), &Type::Timestamp);
    w.text(" WHERE \"finished\" IS NULL AND \"id\" IN ");
    w.given_ids(0);
    w.text(" RETURNING \"id\", \"state\"");
    w.finish(ResultShape::Values(vec![Type::Uuid, TEXT]))
}

/// Lets finished jobs, and those that wait for their next attempt, be run again as if they were new. Parameters: their ids as
/// `[{"id": …}]`; now. Tells their ids.
pub fn retry(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text(
        "UPDATE \"_job\" SET \"state\" = 'ready', \"cancel\" = FALSE, \"attempt\" = 0, \"finished\" = NULL",
    );
    set_times(&mut w, ["run_at", "updated"], 1);
    w.text(" WHERE \"state\" IN ('dead', 'cancelled', 'done', 'scheduled') AND \"id\" IN ");
    w.given_ids(0);
    w.text(" RETURNING \"id\"");
    w.finish(ResultShape::Values(vec![Type::Uuid]))
}

/// Remembers how far a running job has come. Parameters: id, worker, progress, now.
pub fn progress(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("UPDATE \"_job\" SET \"progress\" = ");
    w.bind(Bind::Param(2), &Type::Json);
    w.text(", \"updated\" = ");
    w.bind(Bind::Param(3), &Type::Timestamp);
    w.where_system(&JOB, &["id", "worker"]);
    w.text(" AND \"state\" = 'running'");
    w.finish(ResultShape::Nothing)
}

/// Forgets finished jobs of a state, the oldest first. Parameters: state, finished before, how many at most.
pub fn prune(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("DELETE FROM \"_job\" WHERE ");
    let old = |w: &mut Writer<'_>| {
        w.text("\"finished\" < ");
        w.bind(Bind::Param(1), &Type::Timestamp);
        w.text(" AND \"state\" = ");
        w.bind(Bind::Param(0), &TEXT);
    };
    w.some(old, " ORDER BY \"finished\" LIMIT ", 2);
    w.finish(ResultShape::Nothing)
}

/// Jobs as they stand: all columns. Parameter: their ids as `[{"id": …}]`. Under a lock, so that they stay so.
pub fn images(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    select_all(&mut w);
    w.text(" WHERE \"id\" IN ");
    w.given_ids(0);
    w.text(" ORDER BY \"id\"");
    w.text(dialect.lock(crate::dialect::Lock::Write));
    w.all_columns()
}

/// Jobs for people, the newest first: all columns. Parameters: state (null: any), name (null: any), how many at most.
pub fn list(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    select_all(&mut w);
    for (param, name) in [(0, "state"), (1, "name")] {
        w.text(if param == 0 { " WHERE (" } else { " AND (" });
        w.bind(Bind::Param(param), &TEXT);
        w.text(" IS NULL OR ");
        w.identifier(name);
        w.text(" = ");
        w.bind(Bind::Param(param), &TEXT);
        w.text(")");
    }
    w.text(" ORDER BY \"id\" DESC LIMIT ");
    w.bind(Bind::Param(2), &Type::Int);
    w.all_columns()
}

/// How many jobs there are of each name and state, and since when the first of them could run.
pub fn counts(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT \"name\", \"state\", count(*), min(\"run_at\") FROM \"_job\" GROUP BY \"name\", \"state\" ORDER BY \"name\", \"state\"");
    w.finish(ResultShape::Values(vec![TEXT, TEXT, Type::Int, Type::Timestamp]))
}

/// What keeps the statements of a transaction to their indexes, whatever the database believes about a table that grows and shrinks
/// faster than it is looked at.
pub fn steady(schema: &Schema, dialect: &dyn Dialect) -> Option<Statement> {
    let mut w = Writer::new(schema, dialect);
    w.text(dialect.steady()?);
    Some(w.finish(ResultShape::Nothing))
}

/// What lets a transaction end without waiting for the disk: see [`Dialect::lazy_commit`].
pub fn lazy(schema: &Schema, dialect: &dyn Dialect) -> Option<Statement> {
    let mut w = Writer::new(schema, dialect);
    w.text(dialect.lazy_commit()?);
    Some(w.finish(ResultShape::Nothing))
}

/// Waits until no other transaction has asked for the text `Param(0)`, where others write at the same time.
pub fn turn(schema: &Schema, dialect: &dyn Dialect) -> Option<Statement> {
    super::idempotency_turn(schema, dialect)
}
