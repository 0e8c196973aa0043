//! A plugin as a third party writes one: it notes who changed what of a table and mails each change to somebody, reports each night what
//! there was, shows the notes at a route of its own to those who may see them, and keeps what is closed from being changed.
//!
//! Uses `mainstay`'s public names alone. Notes are written past the rules and mails enqueued in the transaction of the change: where that
//! is not kept, there is neither.

use mainstay::axum::Router;
use mainstay::axum::extract::Path;
use mainstay::axum::routing::get;
use mainstay::jobs::{Scheduled, Unique};
use mainstay::lang::schema::Schema;
use mainstay::lang::value::Timestamp;
use mainstay::prelude::*;
use mainstay::serde_json::Value;

/// Notes the changes of one table.
pub struct Audit {
    /// The table; it needs a column `status`.
    pub table: &'static str,
    /// The value of `status` from which on a row stays as it is.
    pub closed: &'static str,
    /// Who gets mail.
    pub to: &'static str,
}

/// What the hooks need of the plugin.
struct Told {
    closed: &'static str,
    to: &'static str,
}

impl Plugin for Audit {
    fn name(&self) -> &str {
        "audit"
    }

    fn schema(&self) -> &str {
        r#"
/// A change that somebody made. Written by the server alone.
table AuditEntry {
  what   text(200)
  row    text(100)  index
  actor  User?
  note   text
  order created

  allow read  if user.can("audit/read")
}
"#
    }

    fn prerequisite(&self, schema: &Schema) -> Result<(), String> {
        let table = schema.table_named(self.table);
        let has_status = table.is_some_and(|table| table.column_named("status").is_some());
        if has_status {
            return Ok(());
        }
        Err(format!("it notes the changes of {0}, which needs `table {0} {{ status enum(…) }}`", self.table))
    }

    fn build(&self, setup: &mut Setup<'_>) {
        let (closed, to) = (self.closed, self.to);
        setup.keep(Told { closed, to });
        setup.table(self.table).on_create(created).on_update(updated).on_delete(deleted);
        setup.rule(&format!("{}.update", self.table), stays);
        setup.rule(&format!("{}.delete", self.table), stays);
        match Schedule::parse("0 3 * * *", "Europe/Amsterdam") {
            Ok(nightly) => {
                let report = move |job: Running, at: Scheduled| report(job, at, to);
                setup.job(Definition::new("audit.report", report).schedule(nightly, CatchUp::Latest));
            }
            Err(words) => setup.problem(words),
        }
        setup.routes(Router::new().route("/audit/{row}", get(entries)));
    }
}

async fn created(ctx: &HookCtx, row: &mut Row) -> Result<(), Error> {
    note(ctx, row, "create", String::new()).await
}

async fn updated(ctx: &HookCtx, changed: &Updated) -> Result<(), Error> {
    for update in &changed.rows {
        let status: Value = update.new.get("status")?;
        let words = match update.changed("status") {
            true => format!("status is {status} now"),
            false => String::new(),
        };
        note(ctx, &update.new, "update", words).await?;
        let to = ctx.kept::<Told>()?.to;
        let data = json!({"table": update.new.table(), "title": update.new.text("title"), "status": status});
        ctx.enqueue(Mail::new("changed", to, data).job()).await?;
    }
    Ok(())
}

async fn deleted(ctx: &HookCtx, going: &Deleted) -> Result<(), Error> {
    for row in &going.rows {
        note(ctx, row, "delete", String::new()).await?;
    }
    Ok(())
}

async fn note(ctx: &HookCtx, row: &Row, what: &str, words: String) -> Result<(), Error> {
    let what = format!("{what} {}", row.table());
    let actor = ctx.caller().user.as_ref().map(ToString::to_string);
    let entry =
        json!({"create": true, "what": what, "row": row.key().to_string(), "actor": actor, "note": words});
    ctx.admin().query(json!({"AuditEntry": entry})).await.map(drop)
}

/// What is closed stays as it is: asked behind the rules that the app declares.
async fn stays(ctx: &HookCtx, change: &Changing) -> Result<(), Error> {
    let closed = ctx.kept::<Told>()?.closed;
    match &change.old {
        Some(old) if old.text("status") == Some(closed) => {
            Err(ctx.refuse("audit.closed", format!("it is {closed}, and stays as it is")))
        }
        _ => Ok(()),
    }
}

/// What there was in the day before a time.
async fn report(job: Running, scheduled: Scheduled, to: &'static str) -> Result<(), JobError> {
    let since = Timestamp(scheduled.at.0 - 24 * 3_600_000_000).to_string();
    let day = json!({"get": ["what", "note"], "created": {"ge": since}});
    let answer = job.query(json!({"AuditEntry": day})).await?;
    let mail = Mail::new("report", to, json!({"entries": answer["AuditEntry"]}));
    // Once for each night, also where the job is run again.
    job.jobs().enqueue(mail.job().unique(scheduled.at.to_string(), Unique::Ignore)).await?;
    Ok(())
}

/// The entries of a row, for whoever may read them.
async fn entries(request: RequestCtx, Path(row): Path<String>) -> Result<Json<Value>, Refusal> {
    let part = json!({"get": ["what", "note", "created"], "row": row});
    Ok(Json(request.query(json!({"AuditEntry": part})).await?))
}
