//! Live beside fresh reads: random apps, subscribers, and writes that change rows, links, rights and callers.

use mainstay_testkit::database::DatabaseKind;
use mainstay_testkit::oracle::live::run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_hold_what_their_own_reads_show() {
    let mut rules = 0;
    for on in DatabaseKind::ALL {
        let report = run(*on, on.share(6_000)).await.unwrap();
        println!("{on:?}: {report:?}");
        assert!(report.failures.is_empty(), "{}", report.failures.join("\n\n"));
        assert!(report.rows > report.agreed / 4, "most sets have rows");
        assert!(*on == DatabaseKind::Postgres || report.presences > 0, "some are told who is connected");
        rules += report.rules.whole;
        let events: usize = report.events.values().sum();
        assert!(events > report.kept / 2, "most writes that are kept are heard of");
    }
    assert!(rules > 0, "some rules are kept in data");
}
