//! Two servers on one database: what one has let through the other counts too.

use mainstay_security::{ReportsTaken, SecurityOptions};
use mainstay_testkit::database::{DatabaseKind, Place};

use crate::harness::{Node, node_with, run};

async fn one_of_several(place: &Place) -> Node {
    let rates = vec!["address 20/1h".parse().unwrap()];
    let options = SecurityOptions { rates, is_shared: true, ..SecurityOptions::default() };
    node_with(place, options, |options| options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await
}

#[test]
fn a_limit_holds_for_all_servers_together() {
    run(async {
        let place = Place::new(DatabaseKind::Postgres).unwrap();
        let (one, other) = (one_of_several(&place).await, one_of_several(&place).await);
        let mut reports = other.engine.parts().get::<ReportsTaken>().unwrap().watch();
        // From its first request on a server looks what others tell.
        assert_eq!(other.from("192.0.2.9", "/api/Note").await.status(), 200);
        for _ in 0..20 {
            assert_eq!(one.from("192.0.2.1", "/api/Note").await.status(), 200);
        }
        assert_eq!(one.from("192.0.2.1", "/api/Note").await.status(), 429);
        // The requests may fall into two beats: wait for as many as it takes, and no longer than the test may.
        let taken = async {
            loop {
                reports.changed().await.unwrap();
                let answer = other.from("192.0.2.1", "/api/Note").await;
                if answer.status() == 429 {
                    return;
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), taken).await.expect("the other was told");
        assert_eq!(
            other.from("192.0.2.2", "/api/Note").await.status(),
            200,
            "another client was counted with it"
        );
        one.stop().await;
        other.stop().await;
    });
}

#[test]
fn an_embedded_database_keeps_no_reports() {
    run(async {
        let place = Place::new(DatabaseKind::Sqlite).unwrap();
        let node = one_of_several(&place).await;
        for _ in 0..20 {
            assert_eq!(node.from("192.0.2.1", "/api/Note").await.status(), 200);
        }
        assert_eq!(node.from("192.0.2.1", "/api/Note").await.status(), 429);
        node.stop().await;
    });
}
