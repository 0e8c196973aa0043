//! TLS to a server with a certificate of today's form, as far as each `sslmode` trusts it.

use mainstay_lang::value::Value;
use mainstay_store::{Outcome, Store, StoreError, StoreOptions};
use mainstay_testkit::postgres::OwnPostgres;

use super::support::{ints, wide};

/// Whether the connection that is asked is encrypted.
async fn encrypted(url: &str) -> Result<i64, StoreError> {
    let store = Store::open(&StoreOptions::new(url.parse().unwrap()))?;
    let asked = "SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";
    let answer = store.read(vec![ints(asked, vec![])], wide()).await;
    store.close().await;
    match &answer?[..] {
        [Outcome::Values(rows)] => match rows[0][0] {
            Value::Int(count) => Ok(count),
            ref other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_trusted_as_far_as_its_url_says() {
    let server = tokio::task::spawn_blocking(OwnPostgres::start_with_tls).await.unwrap();
    let (root, other_root) = (server.file("root.pem"), server.file("other.pem"));
    let url =
        |host: &str, words: &str| format!("postgres://postgres@{host}:{}/postgres?{words}", server.port());
    assert_eq!(encrypted(&url("127.0.0.1", "sslmode=disable")).await, Ok(0));
    assert_eq!(encrypted(&url("127.0.0.1", "sslmode=require")).await, Ok(1), "whoever it is");
    let full = format!("sslmode=verify-full&sslrootcert={}", root.display());
    assert_eq!(encrypted(&url("localhost", &full)).await, Ok(1), "its certificate is for this name");
    let signed = format!("sslmode=verify-ca&sslrootcert={}", root.display());
    assert_eq!(encrypted(&url("127.0.0.1", &signed)).await, Ok(1), "whatever it is called");

    let refused = |outcome: Result<i64, StoreError>| match outcome {
        Err(StoreError::Unavailable { detail }) => detail,
        other => panic!("it was to be refused: {other:?}"),
    };
    let words = refused(encrypted(&url("127.0.0.1", &full)).await);
    assert!(words.contains("127.0.0.1") && words.contains("not valid for name"), "{words}");
    for mode in ["verify-ca", "verify-full"] {
        let wrong = format!("sslmode={mode}&sslrootcert={}", other_root.display());
        let words = refused(encrypted(&url("localhost", &wrong)).await);
        assert!(words.contains("certificate") && words.contains("UnknownIssuer"), "{words}");
    }
}
