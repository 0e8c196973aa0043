//! Several stores on one PostgreSQL database: each hears of what the others change.

use std::time::Duration;

use mainstay_store::{Store, StoreOptions};
use mainstay_testkit::postgres::Postgres;

use super::support::{NUMBERS, On, TestStore, insert, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_hears_of_the_changes_of_another() {
    let test = TestStore::with(On::Postgres, &[NUMBERS], |options| options.exclusive = true).await;
    let mut options = StoreOptions::new(Postgres::shared().url(&test.database).parse().unwrap());
    options.exclusive = true;
    let other = Store::open(&options).unwrap();
    let mut heard = test.store.foreign_changes();
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND (query LIKE 'LISTEN%' OR query LIKE 'SELECT pg_snapshot_xmax%')";
    while Postgres::shared().run(&test.database, listening).unwrap() != "2" {
        tokio::task::yield_now().await;
    }
    heard.mark_unchanged();
    other.write(soon(), insert(1)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), heard.changed()).await.expect("nothing was heard").unwrap();
    assert_eq!(test.all_numbers().await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_past_the_store_is_found_by_asking() {
    let test = TestStore::with(On::Postgres, &[NUMBERS], |options| options.exclusive = true).await;
    let mut heard = test.store.foreign_changes();
    let before = *heard.borrow_and_update();
    // Transactions of other tests on the same server are found as well, so that only coming at all can be asserted.
    while *heard.borrow() == before {
        Postgres::shared()
            .run(&test.database, "INSERT INTO number SELECT coalesce(max(n), 0) + 1 FROM number")
            .unwrap();
        tokio::task::yield_now().await;
    }
}
