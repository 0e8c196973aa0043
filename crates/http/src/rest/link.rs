//! `PUT` and `DELETE /api/{table}/{id}/{relation}/{target}`: a target of a to-many relation.

use std::sync::Arc;

use axum::response::Response;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::{Field, Operation, Part, Raw};
use mainstay_lang::schema::{Relation, Table};

use super::{by_id, done, key_json, not_found, only_entry, operation, route_unknown, table};
use crate::call::Call;
use mainstay_lang::suggest::nearest;

pub(crate) async fn link(call: Call) -> Result<Response, Error> {
    run(call, |relation, target| {
        relation.keywords.push("add");
        relation.add.push(target);
    })
    .await
}

pub(crate) async fn unlink(call: Call) -> Result<Response, Error> {
    run(call, |relation, target| {
        relation.keywords.push("remove");
        relation.remove.push(target);
    })
    .await
}

async fn run(call: Call, place: impl FnOnce(&mut Part, Part)) -> Result<Response, Error> {
    let app = Arc::clone(&call.app);
    let table = table(&app, &call)?;
    let explain = call.explain(&call.parameters(&["explain"])?)?;
    let relation = relation(table, &call)?;
    let target = &*call.capture(3);
    // A key that no row can have is refused as an unknown one is.
    let key = key_json(app.schema().key_type(relation.target), target).ok_or_else(|| {
        Error::new(Key::RelationRefused, format!("`{}` has no such row for you.", relation.name))
    })?;
    let path = format!("/{}", relation.name);
    let mut nested = Part { path: path.clone(), ..Part::default() };
    let target = Part { path, fields: vec![("id".to_owned(), Field::Scalar(key))], ..Part::default() };
    place(&mut nested, target);
    let members = Field::Object(Raw::new("{}"), Ok(Box::new(nested)));
    let part = Part {
        fields: vec![by_id(app.schema(), table, &call)?, (relation.name.clone(), members)],
        ..Part::default()
    };
    let operation = Operation { explain, ..operation(&call, table, vec![part], &[])? };
    let mut answer = app.engine.execute(&call.ctx, &operation).await?;
    let explained = answer.explain.take();
    if only_entry(answer)?.row_count == 0 { Err(not_found(table)) } else { Ok(done(explained)) }
}

fn relation<'a>(table: &'a Table, call: &Call) -> Result<&'a Relation, Error> {
    let name = &*call.capture(2);
    table.relation_named(name).ok_or_else(|| {
        let near = nearest(name, table.relations.iter().map(|relation| relation.name.as_str()));
        route_unknown("to-many relation", name, near)
    })
}
