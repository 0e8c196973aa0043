//! Commits that standbys have to have as well.

use std::time::{Duration, Instant};

use mainstay_store::{Store, StoreError, StoreOptions};
use mainstay_testkit::postgres::{Outside, OwnPostgres};

use super::support::{NUMBERS, insert, soon};

/// The server keeps what nobody else has once it is told to wait no longer. Whoever asked is not told that all is well.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_no_standby_has_is_not_acknowledged() {
    let server = tokio::task::spawn_blocking(OwnPostgres::start_new).await.unwrap();
    let store = Store::open(&StoreOptions::new(server.url().parse().unwrap())).unwrap();
    store.execute_script(vec![NUMBERS.to_owned()]).await.unwrap();
    let outside = Outside::connect(&server.url()).await;
    outside.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
    outside.run("SELECT pg_reload_conf()").await;
    while outside.run("SHOW synchronous_standby_names").await[0][0] != "nobody" {}
    // Those of the store have to have read it as well.
    let until = |patience: u64| Instant::now() + Duration::from_millis(patience);
    let mut number = 0;
    let outcome = loop {
        number += 1;
        match store.write(until(500), insert(number)).await {
            Ok(()) if number < 100 => {}
            outcome => break outcome,
        }
    };
    assert!(matches!(outcome, Err(StoreError::OutcomeUnknown { .. })), "{outcome:?}");
    outside.run("ALTER SYSTEM RESET synchronous_standby_names").await;
    outside.run("SELECT pg_reload_conf()").await;
    while !outside.run("SHOW synchronous_standby_names").await[0][0].is_empty() {}
    store.write(soon(), insert(1000)).await.unwrap();
    store.close().await;
}
