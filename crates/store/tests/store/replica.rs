//! Reads that may be a little old, on a real standby that is stopped, paused and started again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_lang::value::Value;
use mainstay_store::{Outcome, Store, StoreOptions};
use mainstay_testkit::postgres::{Outside, OwnPostgres};

use super::support::{NUMBERS, insert, ints, soon, wide};

/// How old reads may be here.
const AGE_MAX: Duration = Duration::from_millis(500);

/// Whether a server answers that replays, and how many rows it sees.
const WHO: &str = "SELECT (pg_is_in_recovery()::int * 1000 + count(*))::bigint FROM number";
const ON_REPLICA: i64 = 1000;

struct Servers {
    store: Arc<Store>,
    replica: OwnPostgres,
    primary: OwnPostgres,
}

impl Servers {
    async fn start() -> Servers {
        let (primary, replica) = tokio::task::spawn_blocking(|| {
            let primary = OwnPostgres::start_new();
            let replica = primary.replica();
            (primary, replica)
        })
        .await
        .unwrap();
        let mut options = StoreOptions::new(primary.url().parse().unwrap());
        options.postgres.replica_url = Some(replica.url().parse().unwrap());
        options.postgres.replica_age_max = AGE_MAX;
        let store = Arc::new(Store::open(&options).unwrap());
        store.execute_script(vec![NUMBERS.to_owned()]).await.unwrap();
        Servers { store, replica, primary }
    }

    /// What a read sees that wants everything from before a time.
    async fn read(&self, since: Option<Instant>) -> i64 {
        let read = self.store.read_aged(vec![ints(WHO, vec![])], wide(), since).await.unwrap();
        match &read[..] {
            [Outcome::Values(rows)] => match rows[0][0] {
                Value::Int(who) => who,
                ref other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// Reads, as somebody who has written then, until this is what is seen.
    async fn until(&self, written: Option<Instant>, wanted: i64) {
        let begun = Instant::now();
        loop {
            let seen = self.read(written).await;
            if seen == wanted {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{seen} is seen, not {wanted}");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_to_a_replica_that_is_near_enough() {
    let mut servers = Servers::start().await;
    servers.store.write(soon(), insert(1)).await.unwrap();
    let written = Instant::now();
    assert_eq!(servers.read(Some(written)).await % ON_REPLICA, 1, "one's own write is seen at once");
    // Soon the standby is known to have it, and then it is read from there.
    servers.until(Some(written), ON_REPLICA + 1).await;

    // One that does not come any further is read from for as long as it is near enough, but not by who has written.
    let standby = Outside::connect(&servers.replica.url()).await;
    standby.run("SELECT pg_wal_replay_pause()").await;
    while standby.run("SELECT pg_get_wal_replay_pause_state()").await[0][0] != "paused" {}
    servers.store.write(soon(), insert(2)).await.unwrap();
    assert_eq!(servers.read(Some(Instant::now())).await, 2);
    servers.until(None, 2).await;
    standby.run("SELECT pg_wal_replay_resume()").await;
    servers.until(None, ON_REPLICA + 2).await;

    // Without it the primary answers, and nobody notices.
    let replica = tokio::task::spawn_blocking(move || {
        servers.replica.crash();
        servers
    });
    let mut servers = replica.await.unwrap();
    servers.store.write(soon(), insert(3)).await.unwrap();
    assert_eq!(servers.read(Some(Instant::now())).await, 3);
    servers.until(None, 3).await;
    let servers = tokio::task::spawn_blocking(move || {
        servers.replica.start();
        servers
    });
    let servers = servers.await.unwrap();
    servers.until(None, ON_REPLICA + 3).await;
    let counted = servers.store.metrics();
    assert!(counted.replica_reads > 0 && counted.replica_fallbacks > 0, "{counted:?}");
    servers.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_no_standby_is_never_read_from() {
    let servers = Servers::start().await;
    let mut options = StoreOptions::new(servers.primary.url().parse().unwrap());
    options.postgres.replica_url = Some(servers.primary.url().parse().unwrap());
    let store = Store::open(&options).unwrap();
    for _ in 0..20 {
        store.read_aged(vec![ints(WHO, vec![])], wide(), None).await.unwrap();
    }
    let counted = store.metrics();
    assert_eq!((counted.replica_reads, counted.replica_fallbacks), (0, 20));
    store.close().await;
}
