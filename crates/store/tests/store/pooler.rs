//! Behind `PgBouncer` in transaction mode, with fewer connections to the server than the store has to the pooler: each
//! transaction may land on another server process than the one before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_lang::value::Value;
use mainstay_store::{Outcome, ReadLimits, Store, StoreError, StoreOptions};
use mainstay_testkit::postgres::{Bouncer, Postgres};

use super::support::{NUMBERS, change, insert, ints, job, soon, wide};

fn options(bouncer: &Bouncer, database: &str) -> StoreOptions {
    let mut options = StoreOptions::new(bouncer.url(database).parse().unwrap());
    options.exclusive = true;
    options.postgres.pgbouncer = true;
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_behind_a_pooler() {
    let bouncer = Bouncer::start(3);
    let url = Postgres::database();
    let (_, database) = url.rsplit_once('/').unwrap();
    let store = Arc::new(Store::open(&options(&bouncer, database)).unwrap());
    store.execute_script(vec![NUMBERS.to_owned()]).await.unwrap();
    let tasks = (0..20).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..20 {
                let number = round * 20 + task;
                store.write(soon(), insert(number)).await.unwrap();
                let own = || ints("SELECT n FROM number WHERE n = $1::bigint", vec![Value::Int(number)]);
                let found = Outcome::Values(vec![vec![Value::Int(number)]]);
                assert_eq!(store.read(vec![own()], wide()).await.unwrap(), std::slice::from_ref(&found));
                assert_eq!(store.read(vec![own(), own()], wide()).await.unwrap(), [found.clone(), found]);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let counted = store.read(vec![ints("SELECT count(*) FROM number", vec![])], wide()).await.unwrap();
    assert_eq!(counted, [Outcome::Values(vec![vec![Value::Int(400)]])]);

    let refused = store.read(vec![change("DELETE FROM number", vec![])], wide()).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly { .. })), "{refused:?}");
    let taken = store.write(soon(), insert(1)).await;
    assert!(matches!(taken, Err(StoreError::Unique { .. })), "{taken:?}");
    let limits = ReadLimits { deadline: Instant::now() + Duration::from_millis(200), ..wide() };
    let slept = store.read(vec![ints("SELECT 1 FROM pg_sleep(60)", vec![])], limits).await;
    assert_eq!(slept, Err(StoreError::Deadline));
    let limits = ReadLimits { rows: 10, ..wide() };
    let endless = ints("SELECT generate_series(1, 9000000000)", vec![]);
    assert_eq!(store.read(vec![endless], limits).await, Err(StoreError::RowLimit { limit: 10 }));
    // The pooler's few connections to the server are free again.
    let delete = || job(vec![change("DELETE FROM number", vec![])]);
    store.write(soon(), delete()).await.unwrap();
    store.write(soon(), delete()).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_past_the_pooler_is_used_for_changing_tables_and_hearing() {
    let bouncer = Bouncer::start(1);
    let url = Postgres::database();
    let (_, database) = url.rsplit_once('/').unwrap();
    let direct = || {
        let mut options = options(&bouncer, database);
        options.postgres.direct_url = Some(url.parse().unwrap());
        Store::open(&options).unwrap()
    };
    let (one, other) = (direct(), direct());
    one.execute_script(vec![NUMBERS.to_owned()]).await.unwrap();
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND (query LIKE 'LISTEN%' OR query LIKE 'SELECT pg_snapshot_xmax%')";
    while Postgres::shared().run(database, listening).unwrap() != "2" {
        tokio::task::yield_now().await;
    }
    let mut heard = one.foreign_changes();
    heard.mark_unchanged();
    other.write(soon(), insert(1)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), heard.changed()).await.expect("nothing was heard").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_past_the_pooler_that_leads_elsewhere_is_refused_before_anything_is_changed() {
    let bouncer = Bouncer::start(1);
    let (url, elsewhere) = (Postgres::database(), Postgres::database());
    let (_, database) = url.rsplit_once('/').unwrap();
    let mut options = options(&bouncer, database);
    options.postgres.direct_url = Some(elsewhere.parse().unwrap());
    let refused = Store::open(&options).unwrap().turn().await.map(drop);
    let words = refused.unwrap_err().to_string();
    assert!(words.contains("database.direct_url leads to another database"), "{words}");
    options.postgres.direct_url = Some(url.parse().unwrap());
    Store::open(&options).unwrap().turn().await.map(drop).unwrap();
}
