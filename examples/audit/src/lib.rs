//! A plugin as a third party writes one: it notes who changed what of a table, shows that at a route of its own to those who
//! may see it, and keeps what is sent from being changed.
//!
//! Uses `mainstay`'s public names alone. What it notes is written past the rules, in the transaction of the change; nobody
//! else can write it.

use mainstay::axum::Router;
use mainstay::axum::extract::Path;
use mainstay::axum::routing::get;
use mainstay::lang::schema::Schema;
use mainstay::prelude::*;
use mainstay::serde_json::Value;

/// Notes the changes of one table.
pub struct Audit {
    /// The table; it needs a column `status`.
    pub table: &'static str,
    /// The value of `status` from which on a row stays as it is.
    pub closed: &'static str,
}

/// What the hooks need of the plugin.
struct Closed(&'static str);

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
        setup.keep(Closed(self.closed));
        setup.table(self.table).on_create(created).on_update(updated).on_delete(deleted);
        setup.rule(&format!("{}.update", self.table), stays);
        setup.rule(&format!("{}.delete", self.table), stays);
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
    let Closed(closed) = *ctx.kept::<Closed>()?;
    match &change.old {
        Some(old) if old.text("status") == Some(closed) => {
            Err(ctx.refuse("audit.closed", format!("it is {closed}, and stays as it is")))
        }
        _ => Ok(()),
    }
}

/// The entries of a row, for whoever may read them.
async fn entries(request: RequestCtx, Path(row): Path<String>) -> Result<Json<Value>, Refusal> {
    let part = json!({"get": ["what", "note", "created"], "row": row});
    Ok(Json(request.query(json!({"AuditEntry": part})).await?))
}
