//! The leak test: random apps, rows, callers and requests, and the engine's answers beside those of the oracle.
//!
//! A difference is made small, printed, and written to `target/oracle/` in the form that [`replays`] runs again.

use mainstay_testkit::database::DatabaseKind;
use mainstay_testkit::oracle::Case;
use mainstay_testkit::oracle::judge::{self, Verdict};
use mainstay_testkit::oracle::others;
use mainstay_testkit::oracle::run::{Kind, run};

#[tokio::test]
async fn reads_answer_what_the_oracle_says() {
    for on in DatabaseKind::ALL {
        let report = run(Kind::Reads, *on, on.share(3_000)).await.unwrap();
        println!("{on:?}: {report}");
        assert!(report.failures.is_empty(), "{}", report.failures.join("\n\n"));
        assert!(report.rows > report.done / 2, "most reads find something");
        assert!(report.undecided * 5 < report.done, "most reads can be foretold");
        assert!(report.rules.whole > 0 && report.rules.broken > 0, "some rules are kept in data");
    }
}

#[tokio::test]
async fn writes_leave_what_the_oracle_says() {
    for on in DatabaseKind::ALL {
        let report = run(Kind::Writes, *on, on.share(2_000)).await.unwrap();
        println!("{on:?}: {report}");
        assert!(report.failures.is_empty(), "{}", report.failures.join("\n\n"));
        assert!(report.answered * 5 > report.done, "many writes are allowed");
        assert!(report.undecided * 5 < report.done, "most writes can be foretold");
    }
}

#[tokio::test]
async fn reads_of_a_database_that_others_made_answer_what_the_oracle_says() {
    for on in DatabaseKind::ALL {
        let report = others::run(Kind::Reads, *on, on.share(2_000)).await.unwrap();
        println!("{on:?}: {report}");
        assert!(report.failures.is_empty(), "{}", report.failures.join("\n\n"));
        assert!(report.rows > report.done / 2, "most reads find something");
        assert!(report.undecided * 5 < report.done, "most reads can be foretold");
    }
}

#[tokio::test]
async fn writes_to_a_database_that_others_made_leave_what_the_oracle_says() {
    for on in DatabaseKind::ALL {
        let report = others::run(Kind::Writes, *on, on.share(1_500)).await.unwrap();
        println!("{on:?}: {report}");
        assert!(report.failures.is_empty(), "{}", report.failures.join("\n\n"));
        assert!(report.answered * 5 > report.done, "many writes are allowed");
        assert!(report.undecided * 5 < report.done, "most writes can be foretold");
    }
}

/// Runs a case again: `MAINSTAY_ORACLE_REPLAY=target/oracle/failure-reads-1.txt cargo test -p mainstay-testkit replays`
#[tokio::test]
async fn replays() {
    let Ok(path) = std::env::var("MAINSTAY_ORACLE_REPLAY") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    for on in DatabaseKind::ALL {
        match judge::case(*on, &Case::parse(&text)).await.expect("the case holds together") {
            Verdict::Differs { expected, found, .. } => {
                panic!("{on:?}: expected\n{expected}\nfound\n{found}\nin\n{text}")
            }
            verdict => println!("{on:?}: {verdict:?}"),
        }
    }
}
