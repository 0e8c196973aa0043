//! Rules that the language cannot say, asked behind the declared ones on every way to the tables.
//!
//! Nobody gives more than they have: a permission that is put into a role, or a role that is given to somebody, holds nothing that its
//! giver may not do. What is given within a tenant is given by somebody who is there.

use mainstay_engine::error::Error;
use mainstay_engine::hook::{Changing, HookCtx};
use mainstay_engine::plugin::Setup;
use serde_json::{Value as Json, json};

pub(crate) fn build(setup: &mut Setup<'_>) {
    setup.rule("RolePermission.create", permission_given);
    setup.rule("RoleHolder.create", role_given);
    setup.rule("Role.create", within_own);
}

async fn permission_given(ctx: &HookCtx, change: &Changing) -> Result<(), Error> {
    let Some(new) = &change.new else { return Ok(()) };
    let permission: String = new.get("permission")?;
    match ctx.is_admin() || ctx.caller().permissions.contains(&permission) {
        true => Ok(()),
        false => Err(ctx.refuse("role.above", format!("`{permission}` is not yours to give"))),
    }
}

async fn role_given(ctx: &HookCtx, change: &Changing) -> Result<(), Error> {
    within_own(ctx, change).await?;
    let Some(new) = &change.new else { return Ok(()) };
    if ctx.is_admin() {
        return Ok(());
    }
    let role: Json = new.get("role")?;
    let part = json!({"role": role, "get": ["permission"], "limit": 1000});
    let answer = ctx.admin().query(json!({"RolePermission": part})).await?;
    for row in answer["RolePermission"].as_array().into_iter().flatten() {
        let name =
            row["permission"].as_str().or_else(|| row["permission"]["id"].as_str()).unwrap_or_default();
        if !ctx.caller().permissions.contains(name) {
            let words = format!("the role has `{name}`, which is not yours to give");
            return Err(ctx.refuse("role.above", words));
        }
    }
    // A role of one tenant means nothing in another.
    let role = ctx.admin().query(json!({"Role": {"id": role, "get": ["within"]}})).await?;
    let (of_role, given): (&Json, Json) = (&role["Role"][0]["within"], new.get("within")?);
    match of_role.is_null() || *of_role == given {
        true => Ok(()),
        false => Err(ctx.refuse("role.tenant", "the role is one of another tenant")),
    }
}

/// What somebody in a tenant makes belongs to that tenant.
async fn within_own(ctx: &HookCtx, change: &Changing) -> Result<(), Error> {
    let Some(new) = &change.new else { return Ok(()) };
    let within: Json = new.get("within")?;
    let own = ctx.request().tenant.as_ref().map_or(Json::Null, crate::desk::wire);
    match ctx.is_admin() || own.is_null() || own == within {
        true => Ok(()),
        false => Err(ctx.refuse("role.tenant", "within a tenant roles are that tenant's")),
    }
}
