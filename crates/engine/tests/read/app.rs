//! An app on a real database, of the kind that the test program says, filled without going through the rules.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_engine::ctx::{Caller, Claims, Ctx};
use mainstay_engine::error::Error;
use mainstay_engine::limits::Limits;
use mainstay_engine::part::Operation;
use mainstay_engine::plugin::Plugins;
use mainstay_engine::{Engine, MayChange, Options, document, prelude, render};
use mainstay_lang::analyse::analyse;
use mainstay_lang::schema::{RelationKind, Schema};
use mainstay_lang::source::Sources;
use mainstay_lang::value::{Timestamp, Value};
use mainstay_store::{Outcome, Query, ReadLimits, Store, StoreError};
use mainstay_testkit::database::Place;
use serde_json::Value as Json;

pub(crate) struct App {
    pub(crate) engine: Engine,
    /// Where the change log stood before the first request.
    pub(crate) log_start: Value,
    pub(crate) place: Place,
}

/// The request's clock in every test: 2026-01-31T12:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_769_860_800_000_000);

/// The key of a row that a test calls by a small number.
pub(crate) fn id(number: u32) -> String {
    format!("00000000-0000-7000-8000-{number:012}")
}

pub(crate) fn schema(text: &str) -> Arc<Schema> {
    let mut sources = Sources::default();
    sources.add("app.stay", text);
    let analysis = analyse(&prelude::load(sources));
    Arc::new(analysis.schema.unwrap_or_else(|| panic!("{:#?}", analysis.diagnostics)))
}

impl App {
    /// An app whose rows are `[("Table", {…}), …]`; links are `("Table.relation", {"owner": n, "target": n})`. Numbers
    /// in place of keys stand for [`id`].
    pub(crate) async fn new(text: &str, rows: Json) -> App {
        App::limited(text, rows, Limits::default()).await
    }

    /// As [`App::new`], within limits.
    pub(crate) async fn limited(text: &str, rows: Json, limits: Limits) -> App {
        App::at(Place::new(crate::ON).unwrap(), limits, text, rows).await
    }

    /// The same in a place that was made for it.
    pub(crate) async fn at(place: Place, limits: Limits, text: &str, rows: Json) -> App {
        App::plugged(place, limits, text, rows, &Plugins::default()).await
    }

    /// The same with plugins.
    pub(crate) async fn plugged(
        place: Place,
        limits: Limits,
        text: &str,
        rows: Json,
        plugins: &Plugins,
    ) -> App {
        let store = Store::open(&place.options).unwrap();
        let schema = schema(text);
        let options = Options { may_change: MayChange::IN_DEVELOPMENT, limits };
        let engine = Engine::open_with(schema.clone(), store, options, plugins).await.unwrap();
        let mut queries = Vec::new();
        for row in rows.as_array().unwrap() {
            queries.push(insert(&schema, row[0].as_str().unwrap(), &row[1]));
        }
        let queries = Arc::new(queries);
        let deadline = Instant::now() + Duration::from_secs(20);
        let written: Result<(), StoreError> = engine
            .store()
            .write(
                deadline,
                Box::new(move |tx| {
                    let queries = queries.clone();
                    Box::pin(async move {
                        for query in queries.iter() {
                            tx.query(query).await?;
                        }
                        Ok(())
                    })
                }),
            )
            .await;
        written.unwrap();
        let position = mainstay_sql::system::change_position(&schema, crate::ON.dialect());
        let position = Query { statement: Arc::new(position), values: Vec::new() };
        let limits = ReadLimits { rows: 1, bytes: 1000, deadline };
        let found = engine.store().read(vec![position], limits).await.unwrap().remove(0);
        let Outcome::Values(mut found) = found else { panic!("a position is a value") };
        App { engine, log_start: found.remove(0).remove(0), place }
    }

    /// The user of a number.
    pub(crate) async fn user(&self, number: u32) -> Caller {
        let key = Value::Uuid(id(number).parse().unwrap());
        Caller::clone(
            &*self.engine.caller(&Claims::user(key.clone())).await.unwrap().expect("the user was made"),
        )
    }

    pub(crate) async fn run(&self, caller: Caller, request: &str) -> Result<String, Error> {
        let operation = Operation { documents: document::parse(request.as_bytes())?, ..Operation::default() };
        let response = self.engine.execute(&context(caller), &operation).await?;
        Ok(render(&response, request.trim_start().starts_with('[')))
    }

    /// Writes something past the rules.
    pub(crate) async fn change(&self, request: &str) {
        self.run(Caller::administrator(), &with_keys(request))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Runs a request in which `#n` stands for the key of a number, and compares the answer, in which keys are written
    /// so again. An error is compared as `key path: words`.
    pub(crate) async fn check(&self, caller: Caller, request: &str, expected: &str) {
        let found = match self.run(caller, &with_keys(request)).await {
            Ok(answer) => {
                let _: Json =
                    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
                without_keys(&answer)
            }
            Err(error) => {
                let path = error.errors.first().map(|field| field.path.clone()).unwrap_or_default();
                let internal = error.internal.map(|words| format!(" ({words})")).unwrap_or_default();
                format!("{} {path}: {}{internal}", error.key.text(), error.detail)
            }
        };
        assert_eq!(found, expected, "\nfor {request}");
    }
}

pub(crate) fn context(caller: Caller) -> Ctx {
    Ctx {
        caller: Arc::new(caller),
        tenant: None,
        session: None,
        now: NOW,
        deadline: Instant::now() + Duration::from_secs(20),
        request_id: "test".into(),
        trace: None,
    }
}

pub(crate) fn with_keys(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('#') {
        out.push_str(&rest[..at]);
        let digits: String = rest[at + 1..].chars().take_while(char::is_ascii_digit).collect();
        out.push_str(&id(digits.parse().unwrap()));
        rest = &rest[at + 1 + digits.len()..];
    }
    out + rest
}

pub(crate) fn without_keys(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let prefix = "00000000-0000-7000-8000-";
    while let Some(at) = rest.find(prefix) {
        out.push_str(&rest[..at]);
        let digits = &rest[at + prefix.len()..at + prefix.len() + 12];
        out.push_str(&format!("#{}", digits.parse::<u32>().unwrap()));
        rest = &rest[at + prefix.len() + 12..];
    }
    out + rest
}

fn insert(schema: &Schema, table: &str, row: &Json) -> Query {
    let key =
        |value: &Json| Value::Uuid(id(u32::try_from(value.as_u64().unwrap()).unwrap()).parse().unwrap());
    if let Some((table, relation)) = table.split_once('.') {
        let RelationKind::Link(link) =
            &schema.table_named(table).unwrap().relation_named(relation).unwrap().kind
        else {
            panic!("{relation} is no link")
        };
        let statement = Arc::new(mainstay_sql::link(schema, crate::ON.dialect(), link));
        return Query { statement, values: vec![key(&row["owner"]), key(&row["target"])] };
    }
    let table = schema.table_named(table).unwrap();
    let values = table.columns.iter().map(|column| {
        let ty = schema.storage_type(&column.ty);
        match &row[&column.name] {
            Json::Null => match column.name.as_str() {
                "created" | "updated" => Value::Timestamp(NOW),
                _ => match column.default.as_ref().map(|default| &default.node) {
                    Some(mainstay_lang::expr::Node::Literal(value)) => value.clone(),
                    _ => Value::Null,
                },
            },
            value if (column.name == "id" || column.target().is_some()) && value.is_u64() => key(value),
            value => Value::from_json(&value.to_string(), ty).unwrap(),
        }
    });
    Query {
        statement: Arc::new(mainstay_sql::insert(schema, crate::ON.dialect(), table.id)),
        values: values.collect(),
    }
}
