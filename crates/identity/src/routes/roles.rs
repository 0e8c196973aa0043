//! Roles, permissions and tenants: short ways to what the tables' own rules allow.
//!
//! Everything here is asked as the caller, so that `/api` and `/query` say the same. What rules in the language cannot say, that nobody
//! gives what they do not have, is a rule in Rust ([`crate::rules`]) and holds on every way.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use serde_json::{Value as Json, json};

use super::{Answered, SignedIn, done, fields, nothing_more};
use crate::desk::{event, key, wire};
use crate::identity::Identity;
use crate::letters::Letter;
use crate::once::{Once, used, using};

pub(super) async fn permissions(by: SignedIn) -> Answered {
    let answer = by.request.query(json!({"Permission": {"get": ["id"], "limit": 1000}})).await?;
    let names: Vec<&Json> =
        answer["Permission"].as_array().into_iter().flatten().map(|row| &row["id"]).collect();
    Ok(done(StatusCode::OK, json!({"permissions": names})))
}

pub(super) async fn list(by: SignedIn) -> Answered {
    let part = json!({
        "get": ["name", "within"],
        "permissions": {"get": ["permission"], "limit": 1000},
        "limit": 1000,
    });
    let answer = by.request.query(json!({"Role": part})).await?;
    let roles = answer["Role"].as_array().into_iter().flatten().map(|role| {
        let names = role["permissions"].as_array().into_iter().flatten();
        let names: Vec<Json> = names
            .map(|row| match &row["permission"] {
                Json::Object(row) => row.get("id").cloned().unwrap_or_default(),
                id => id.clone(),
            })
            .collect();
        json!({"id": role["id"], "name": role["name"], "within": role["within"], "permissions": names})
    });
    Ok(done(StatusCode::OK, json!({"roles": roles.collect::<Vec<Json>>()})))
}

pub(super) async fn make(by: SignedIn, body: Bytes) -> Answered {
    let mut read = fields(&body, &["name", "permissions"])?;
    let (name, names) = (read.text("name"), read.texts_or_none("permissions"));
    read.done()?;
    let permissions: Vec<Json> =
        names.unwrap_or_default().iter().map(|name| json!({"create": true, "permission": name})).collect();
    let within = by.request.ctx.tenant.as_ref().map(wire);
    let part = json!({
        "create": true, "name": name, "within": within, "permissions": permissions, "get": ["name", "within"],
    });
    let answer = by.request.query(json!({"Role": part})).await?;
    Ok(done(StatusCode::CREATED, answer["Role"][0].clone()))
}

pub(super) async fn remove(by: SignedIn, Path(id): Path<String>) -> Answered {
    delete(&by, "Role", json!({"id": id})).await
}

/// Deletes a row that the caller may see, or says that it is not there.
async fn delete(by: &SignedIn, table: &str, mut which: Json) -> Answered {
    which["delete"] = json!(true);
    let answer = by.request.query(json!({table: which})).await?;
    match answer[table].as_array().is_none_or(Vec::is_empty) {
        true => Err(Error::new(Key::NotFound, "").into()),
        false => Ok(nothing_more()),
    }
}

pub(super) async fn of_user(by: SignedIn, Path(id): Path<String>) -> Answered {
    let part = json!({"holder": id, "get": ["within"], "role": {"get": ["name"]}, "limit": 1000});
    let answer = by.request.query(json!({"RoleHolder": part})).await?;
    Ok(done(StatusCode::OK, json!({"roles": answer["RoleHolder"]})))
}

pub(super) async fn give(by: SignedIn, Path(id): Path<String>, body: Bytes) -> Answered {
    let mut read = fields(&body, &["role"])?;
    let role = read.text("role");
    read.done()?;
    let within = by.request.ctx.tenant.as_ref().map(wire);
    let part = json!({"create": true, "holder": id, "role": role, "within": within, "get": ["within"]});
    let answer = by.request.query(json!({"RoleHolder": part})).await?;
    Ok(done(StatusCode::CREATED, answer["RoleHolder"][0].clone()))
}

pub(super) async fn take(by: SignedIn, Path((user, holding)): Path<(String, String)>) -> Answered {
    delete(&by, "RoleHolder", json!({"id": holding, "holder": user})).await
}

pub(super) async fn tenants(by: SignedIn) -> Answered {
    let part = json!({"get": ["name", "slug", "hosts"], "limit": 1000});
    let answer = by.request.query(json!({"Tenant": part})).await?;
    Ok(done(StatusCode::OK, json!({"tenants": answer["Tenant"]})))
}

pub(super) async fn tenant_make(by: SignedIn, body: Bytes) -> Answered {
    let mut read = fields(&body, &["name", "slug", "hosts"])?;
    let (name, slug) = (read.text("name"), read.text("slug"));
    let hosts = read.texts_or_none("hosts");
    read.done()?;
    let part =
        json!({"create": true, "name": name, "slug": slug, "hosts": hosts, "get": ["name", "slug", "hosts"]});
    let answer = by.request.query(json!({"Tenant": part})).await?;
    Ok(done(StatusCode::CREATED, answer["Tenant"][0].clone()))
}

/// Asks somebody by mail to join a tenant.
pub(super) async fn invite(
    State(identity): State<Arc<Identity>>,
    by: SignedIn,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered {
    let mut read = fields(&body, &["email"])?;
    let email = read.text("email");
    read.done()?;
    let ctx = &by.request.ctx;
    let is_own = ctx.tenant.as_ref().is_some_and(|tenant| wire(tenant) == json!(id));
    let may = |permission: &&&str| ctx.caller.permissions.contains(**permission);
    let asked: &[&str] =
        if is_own { &["identity/tenants", "identity/members"] } else { &["identity/tenants"] };
    let Some(permission) = asked.iter().find(may) else {
        let words = "This asks for the permission `identity/members` in that tenant.";
        return Err(Error::new(Key::Forbidden, words).into());
    };
    by.permission_check(&identity, permission)?;
    let desk = identity.desk(&by.request);
    let email = email.trim().to_lowercase();
    let letter = Letter::Invitation { email: email.clone(), tenant: json!(id), by: Some(wire(&by.user)) };
    let detail = json!({"tenant": id, "email": email});
    let documents = vec![event("tenant.invite", Some(&by.user), by.place().address.as_deref(), detail)];
    desk.ask_and_enqueue(documents, vec![letter.job()]).await?;
    Ok(done(StatusCode::ACCEPTED, json!({"sent": true})))
}

/// Joins a tenant by an invitation, which goes to an address and is for whoever has it.
pub(super) async fn join(State(identity): State<Arc<Identity>>, by: SignedIn, body: Bytes) -> Answered {
    let mut read = fields(&body, &["token"])?;
    let token = read.text("token");
    read.done()?;
    let desk = identity.desk(&by.request);
    let row = Once::Invitation.find(&desk, &token).await?;
    let user = desk.row("User", "id == $id", &[("id", by.user.clone())]).await?;
    let is_theirs = user.as_ref().and_then(|user: &Row| user.text("email")) == row.text("email");
    if !is_theirs {
        return Err(Error::new(Key::AuthToken, "This invitation is for another address.").into());
    }
    let data: Json = row.get("data")?;
    let tenant = data["tenant"].clone();
    let known = desk
        .row(
            "Membership",
            "member == $member and of == $of",
            &[("member", by.user.clone()), ("of", key(&tenant))],
        )
        .await?;
    let mut documents = vec![using(&desk, &row)];
    if known.is_none() {
        documents.push(json!({"Membership": {"create": true, "of": tenant, "member": wire(&by.user)}}));
        let address = by.place().address;
        documents.push(event("tenant.join", Some(&by.user), address.as_deref(), json!({"tenant": tenant})));
    }
    desk.ask(documents).await.map_err(used)?;
    Ok(done(StatusCode::OK, json!({"tenant": tenant})))
}
