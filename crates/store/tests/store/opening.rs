//! Opening, locking, scripts, and what is said when a path is wrong.

use std::path::Path;

use mainstay_store::{Health, Store, StoreError};

use super::support::{NUMBERS, On, TestStore, change, insert, ints, job, options};

#[test]
fn folders_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/test.db");
    Store::open(&options(path.clone())).unwrap();
    assert!(path.exists());
}

fn open_error(path: &Path) -> StoreError {
    Store::open(&options(path.to_owned())).expect_err("it could be opened")
}

#[test]
fn wrong_paths_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "no database, but text that is longer than the header of one would be".repeat(10))
        .unwrap();
    let cases = [
        (file.clone(), "is a file, but no SQLite database"),
        (folder.path().to_owned(), "is a folder; a database is a file in it"),
        (file.join("test.db"), "cannot make the folder"),
    ];
    for (path, expect) in cases {
        let error = open_error(&path).to_string();
        assert!(error.contains(expect), "{error}");
        assert!(error.contains(&*folder.path().canonicalize().unwrap().to_string_lossy()), "{error}");
    }
    assert!(matches!(open_error(&file), StoreError::Corrupt { .. }));
}

#[test]
fn a_second_server_is_refused_and_a_command_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut exclusive = options(folder.path().join("test.db"));
    exclusive.exclusive = true;
    let first = Store::open(&exclusive).unwrap();
    let second = Store::open(&exclusive).expect_err("two servers on one folder");
    let StoreError::Locked { path, holder } = &second else { panic!("{second:?}") };
    assert!(path.ends_with("test.db"));
    assert_eq!(holder.as_deref(), Some(&*std::process::id().to_string()));
    Store::open(&options(folder.path().join("test.db"))).unwrap();
    drop(first);
    Store::open(&exclusive).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_may_be_built_anew_under_those_that_refer_to_it() {
    let test = TestStore::new(
        On::Sqlite,
        &[
            NUMBERS,
            "CREATE TABLE half (n INTEGER NOT NULL REFERENCES number (n))",
            "INSERT INTO number VALUES (1)",
            "INSERT INTO half VALUES (1)",
        ],
    )
    .await;
    let rebuild = |values: &str| {
        vec![
            "CREATE TABLE number_new (n INTEGER NOT NULL UNIQUE, name TEXT)".to_owned(),
            format!("INSERT INTO number_new (n) VALUES {values}"),
            "DROP TABLE number".to_owned(),
            "ALTER TABLE number_new RENAME TO number".to_owned(),
        ]
    };
    assert_eq!(test.store.execute_script(rebuild("(2)")).await, Err(StoreError::ForeignKey));
    assert_eq!(test.all_numbers().await, [1]);
    let broken = vec!["CREATE TABLE Third (n INTEGER)".to_owned(), "CREATE TABEL".to_owned()];
    let error = test.store.execute_script(broken).await.unwrap_err().to_string();
    assert!(error.contains("CREATE TABEL"), "{error}");
    assert_eq!(test.read_ints("SELECT count(*) FROM sqlite_schema WHERE name = 'Third'").await, [0]);

    test.store.execute_script(rebuild("(1), (2)")).await.unwrap();
    assert_eq!(test.all_numbers().await, [1, 2]);
    let orphan = job(vec![change("INSERT INTO half VALUES (9)", vec![])]);
    assert_eq!(test.write(orphan).await, Err(StoreError::ForeignKey), "references are checked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_of_a_statement_is_told() {
    let test = TestStore::numbers(On::Sqlite).await;
    let lines = test.store.explain(&ints("SELECT n FROM number WHERE n = 1", vec![])).await.unwrap();
    assert_eq!(lines, ["SEARCH number USING COVERING INDEX sqlite_autoindex_number_1 (n=?)"]);
    let lines = test.store.explain(&change("DELETE FROM number WHERE n + 1 > 1", vec![])).await.unwrap();
    assert_eq!(lines, ["SCAN number"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_integrity_are_told() {
    let test = TestStore::numbers(On::Sqlite).await;
    assert_eq!(test.store.health().await, Ok(Health { write_queue: 0, read_queue: 0 }));
    test.write(insert(1)).await.unwrap();
    assert_eq!(test.store.integrity_check().await, Ok(vec![]));
    test.store.close().await;
    assert_eq!(test.store.health().await, Err(StoreError::Closed));
}
