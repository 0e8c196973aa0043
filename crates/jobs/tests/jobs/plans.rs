//! How PostgreSQL finds jobs: what is found by its id goes through the key, whatever the database believes of a table that has just grown.

use mainstay_jobs::{Jobs, NewJob};
use mainstay_lang::value::Value;
use mainstay_sql::POSTGRES;
use mainstay_sql::statement::{Bind, Statement};
use mainstay_sql::system::job::{PickQueue, finish, pick, settle};
use mainstay_testkit::postgres::Postgres;

use crate::harness::{APP, Args, Database, DatabaseKind, definitions, schema, told};

/// The plan of a statement whose parameters are these, as texts.
fn plan(database: &str, statement: &Statement, params: &[&str]) -> String {
    let value = |bind: &Bind| match bind {
        Bind::Param(place) => format!("'{}'", params[*place as usize]),
        Bind::Value(Value::Text(text)) => format!("'{text}'"),
        other => panic!("{other:?} is not among the parameters of jobs"),
    };
    let values: Vec<String> = statement.binds.iter().map(value).collect();
    let steady = POSTGRES.steady().unwrap();
    let explain =
        format!("BEGIN; {steady}; PREPARE p AS {}; EXPLAIN EXECUTE p({})", statement.sql, values.join(", "));
    Postgres::shared().run(database, &explain).unwrap()
}

#[test]
fn jobs_that_are_found_by_their_ids_are_found_by_the_key() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let schema = schema(APP);
        let database = Database::open(DatabaseKind::Postgres, schema.clone()).await.unwrap();
        let jobs = Jobs::new(database.engine.clone(), definitions([told("a").0]));
        let new = (0..3000).map(|n| NewJob::new("a", &Args { n })).collect();
        let ids = jobs.enqueue_all(new).await.unwrap();
        let url = database.url();
        let name = url.rsplit('/').next().unwrap();

        let queue = PickQueue { names: vec!["a".to_owned(), "b".to_owned()], limited: false };
        let picked = plan(name, &pick(&schema, POSTGRES, &[queue]), &["1000", "1000", "1000", "1000"]);
        assert!(picked.contains("Index Scan using _job_pkey"), "{picked}");
        assert!(picked.contains("Only Scan using \"_job.ready\""), "{picked}");
        assert!(!picked.contains("Seq Scan"), "{picked}");

        let given = format!("[{{\"id\": \"{}\", \"attempt\": 1, \"state\": \"done\"}}]", ids[0]);
        for statement in [finish(&schema, POSTGRES), settle(&schema, POSTGRES)] {
            let settled = plan(name, &statement, &[&given, "somebody", "2026-01-01T00:00:00Z"]);
            assert!(settled.contains("Index Scan using _job_pkey"), "{settled}");
            assert!(!settled.contains("_job.running"), "{settled}");
        }
    });
}
