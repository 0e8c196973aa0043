//! A case: an app, its rows, a caller, a request; and its form as text, to be kept and run again.

use std::collections::BTreeSet;
use std::sync::Arc;

use mainstay_lang::schema::{RelationKind, Schema};
use mainstay_lang::value::{Timestamp, Value};
use serde_json::{Value as Json, json};

use super::model::{App, Doc};
use crate::naive::{Asker, World};

/// Rows by the names of tables and columns, so that they survive a change of the app.
pub type NamedRows = Vec<(String, Vec<NamedRow>)>;

/// The values of a row that are not null, by column; of a link, `owner` and `target`.
pub type NamedRow = Vec<(String, Json)>;

/// Everything that decides an answer.
#[derive(Clone, Debug)]
pub struct Case {
    /// The app.
    pub app: AppText,
    /// Its rows: by table, and links by `Table.relation`.
    pub rows: NamedRows,
    /// Who asks.
    pub asker: Asker,
    /// What is asked.
    pub request: Doc,
}

/// An app that can be made smaller, or one that was read from text and cannot.
#[derive(Clone, Debug)]
pub enum AppText {
    /// With its structure.
    Model(App),
    /// As text.
    Text(String),
}

impl AppText {
    /// The text.
    pub fn text(&self) -> String {
        match self {
            AppText::Model(app) => app.text().0,
            AppText::Text(text) => text.clone(),
        }
    }
}

impl Case {
    /// As text: what [`Case::parse`] reads.
    pub fn text(&self) -> String {
        let rows: Json = self
            .rows
            .iter()
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(name, rows)| {
                let rows = rows.iter().map(|row| row.iter().cloned().collect::<Json>());
                (name.clone(), rows.collect::<Json>())
            })
            .collect();
        let asker = json!({
            "user": self.asker.user.as_ref().map(json_of),
            "admin": self.asker.admin,
            "permissions": self.asker.permissions,
            "roles": self.asker.roles,
            "tenant": self.asker.tenant.as_ref().map(json_of),
            "confirmed": self.asker.confirmed.map(|at| at.map(|at| at.0)),
        });
        let pretty = |json: &Json| serde_json::to_string_pretty(json).expect("JSON has a text");
        let rows = rows.as_object().into_iter().flatten().map(|(name, rows)| {
            let rows: Vec<String> =
                rows.as_array().into_iter().flatten().map(|row| format!("  {row}")).collect();
            format!("\"{name}\": [\n{}\n]", rows.join(",\n"))
        });
        format!(
            "{}--- rows\n{{{}}}\n--- caller\n{asker}\n--- request\n{}\n",
            self.app.text(),
            rows.collect::<Vec<_>>().join(",\n"),
            pretty(&self.request.json()),
        )
    }

    /// A case from its text; what stands behind `--- ` lines of other names is left out.
    ///
    /// # Panics
    /// When the text is no case: it is a test's own.
    pub fn parse(text: &str) -> Case {
        let mut sections = text.split("\n--- ");
        let app = sections.next().expect("a text has a first section").to_owned();
        let mut case = Case {
            app: AppText::Text(app + "\n"),
            rows: Vec::new(),
            asker: Asker::default(),
            request: Doc::Object(Vec::new()),
        };
        for section in sections {
            let (name, body) = section.split_once('\n').expect("a section has a line of its own");
            let read = || -> Json { serde_json::from_str(body).expect("a section is JSON") };
            match name {
                "rows" => {
                    for (name, rows) in read().as_object().expect("rows by table") {
                        let rows = rows.as_array().expect("an array of rows").iter().map(|row| {
                            let members = row.as_object().expect("a row is an object").iter();
                            members.map(|(name, value)| (name.clone(), value.clone())).collect()
                        });
                        case.rows.push((name.clone(), rows.collect()));
                    }
                }
                "caller" => {
                    let caller = read();
                    let names = |name: &str| -> BTreeSet<String> {
                        let items = caller[name].as_array().into_iter().flatten();
                        items.filter_map(Json::as_str).map(str::to_owned).collect()
                    };
                    let key = |name: &str| {
                        caller[name].as_str().map(|key| Value::Uuid(key.parse().expect("a uuid")))
                    };
                    case.asker = Asker {
                        user: key("user"),
                        tenant: key("tenant"),
                        admin: caller["admin"] == true,
                        permissions: names("permissions"),
                        roles: names("roles"),
                        confirmed: [0, 1].map(|at| caller["confirmed"][at].as_i64().map(Timestamp)),
                    };
                }
                "request" => case.request = Doc::of(&read()),
                _ => {}
            }
        }
        case
    }

    /// The rows of a world by name.
    pub fn named_rows(schema: &Schema, world: &World) -> NamedRows {
        let mut named = Vec::new();
        for table in &schema.tables {
            let rows = world.rows(table.id).iter().map(|row| {
                let values = table.columns.iter().zip(row).filter(|(_, value)| !value.is_null());
                values.map(|(column, value)| (column.name.clone(), json_of(value))).collect()
            });
            named.push((table.name.clone(), rows.collect()));
            for relation in &table.relations {
                let RelationKind::Link(link) = &relation.kind else { continue };
                let pairs = world.links.get(&link.db_name).into_iter().flatten();
                let pairs = pairs.map(|(owner, target)| {
                    vec![("owner".to_owned(), json_of(owner)), ("target".to_owned(), json_of(target))]
                });
                named.push((format!("{}.{}", table.name, relation.name), pairs.collect()));
            }
        }
        named
    }

    /// The rows as a schema has them; what it no longer names is left out. `None` when a value does not fit.
    pub fn world(&self, schema: &Arc<Schema>) -> Option<World> {
        let mut world = World::empty(schema);
        for (name, rows) in &self.rows {
            if let Some((table, relation)) = name.split_once('.') {
                let Some(table) = schema.table_named(table) else { continue };
                let Some(relation) = table.relation_named(relation) else { continue };
                let RelationKind::Link(link) = &relation.kind else { continue };
                let keys = [schema.key_type(table.id), schema.key_type(relation.target)];
                for pair in rows {
                    let owner = Value::from_json(&pair[0].1.to_string(), keys[0]).ok()?;
                    let target = Value::from_json(&pair[1].1.to_string(), keys[1]).ok()?;
                    world.links.entry(link.db_name.clone()).or_default().push((owner, target));
                }
                continue;
            }
            let Some(table) = schema.table_named(name) else { continue };
            for row in rows {
                let values = table.columns.iter().map(|column| {
                    let Some((_, value)) = row.iter().find(|(name, _)| *name == column.name) else {
                        return column.nullable.then_some(Value::Null);
                    };
                    Value::from_json(&value.to_string(), schema.storage_type(&column.ty)).ok()
                });
                world.tables[table.id.0 as usize].push(values.collect::<Option<Vec<Value>>>()?);
            }
        }
        Some(world)
    }
}

/// A value in its wire form.
///
/// # Panics
/// Never: values have a wire form.
pub fn json_of(value: &Value) -> Json {
    serde_json::from_str(&value.to_json()).expect("the wire form is JSON")
}
