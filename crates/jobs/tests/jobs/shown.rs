//! Jobs as rows of the app: read by rule, never written, every change of them in the log.

use mainstay_engine::part::Operation;
use mainstay_engine::{ChangeKind, Image, document};
use mainstay_jobs::{Jobs, NewJob, State};
use mainstay_testkit::naive::Asker;

use crate::harness::{Args, Database, definitions, next, on_each, options, schema, told, until, work};

const APP: &str = "use jobs\nextend Job { allow read if user.can(\"jobs/read\") }\n";

fn operation(text: &str) -> Operation {
    Operation { documents: document::parse(text.as_bytes()).unwrap(), ..Operation::default() }
}

#[test]
fn jobs_are_read_by_rule_and_written_by_nobody() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (definition, mut begun) = told("a");
        let jobs = Jobs::new(database.engine.clone(), definitions([definition]));
        let engine = &database.engine;
        let position = engine.position().await.unwrap();
        let id = jobs.enqueue(NewJob::new("a", &Args { n: 7_654_321 })).await.unwrap();
        let worker = work(&jobs, options());
        next(&mut begun).await.end.send(Ok(())).unwrap();
        until(&jobs, id, State::Done).await;
        worker.stop().await;
        let mut reader = Asker::default();
        let read = operation(r#"{"Job": {"get": ["id", "name", "state", "attempt"]}}"#);
        let nobody = database.context(&reader).await.unwrap();
        let answer = engine.execute(&nobody, &read).await;
        assert!(answer.is_err() || answer.unwrap().documents[0].entries[0].rows.is_empty());
        reader.permissions.insert("jobs/read".to_owned());
        let ctx = database.context(&reader).await.unwrap();
        let answer = engine.execute(&ctx, &read).await.unwrap();
        let expect = format!(r#"{{"id":"{id}","name":"a","state":"done","attempt":1}}"#);
        assert_eq!(answer.documents[0].entries[0].rows, expect);
        let whole = engine.execute(&ctx, &operation(r#"{"Job": {}}"#)).await.unwrap();
        let whole = &whole.documents[0].entries[0].rows;
        assert!(!whole.contains("7654321") && !whole.contains("\"args\""), "arguments never leave: {whole}");

        let admin = database.context(&Asker { admin: true, ..Asker::default() }).await.unwrap();
        for write in [
            r#"{"Job": {"create": true, "name": "x"}}"#.to_owned(),
            format!(r#"{{"Job": {{"id": "{id}", "set": {{"state": "ready"}}}}}}"#),
            format!(r#"{{"Job": {{"id": "{id}", "delete": true}}}}"#),
        ] {
            let error = engine.execute(&admin, &operation(&write)).await.unwrap_err();
            assert_eq!(error.key, mainstay_engine::error::Key::Forbidden, "{write}: {error:?}");
        }

        let tail = engine.tail(&position, None, 0, 100).await.unwrap();
        let table = engine.schema().table_named("Job").unwrap();
        let place = |name: &str| table.column_named(name).unwrap().id.0 as usize;
        let state = |image: &Option<Image>| {
            let Some(image) = image else { return "-".to_owned() };
            assert!(image.values[place("args")].is_null(), "arguments stand in the log");
            image.values[place("state")].to_string()
        };
        let states: Vec<String> = tail
            .changes
            .iter()
            .map(|change| match &change.kind {
                ChangeKind::Row { before, after } => format!("{} {}", state(before), state(after)),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(states, ["- ready", "ready running", "running done"]);
    });
}
