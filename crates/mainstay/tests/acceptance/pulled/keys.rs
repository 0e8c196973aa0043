//! Keys of several columns: rows are found by the database's own index, and by exactly the spelling that the key has.

use mainstay_testkit::postgres::Postgres;
use serde_json::{Value, json};

use super::{Rental, name};
use crate::support::{App, Server, encode};

const PARTS: &str = "CREATE TABLE part (region VARCHAR(40) NOT NULL, number INTEGER NOT NULL, day DATE NOT NULL, words TEXT NOT NULL,
      PRIMARY KEY (region, number, day));
    CREATE TABLE note (note_id INTEGER PRIMARY KEY, words TEXT NOT NULL);
    INSERT INTO part VALUES ('a,b%', -7, '2024-02-29', 'odd'), ('', 0, '0001-01-01', 'empty'), ('%2C', 1, '9999-12-31', 'coded');";

/// Rows enough for a plan to matter.
const MANY: i64 = 5000;

/// A database of parts in both databases.
fn parts() -> [Rental; 2] {
    let url = Postgres::database();
    let many = format!(
        "INSERT INTO part SELECT 'r' || i % 50, i, DATE '2020-01-01', 'one of many' FROM generate_series(1, {MANY}) i; ANALYZE part"
    );
    Postgres::shared().run(name(&url), &format!("{PARTS}{many}")).unwrap();
    let app = App::of("");
    let path = app.path().join("parts.db");
    let many = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
         INSERT INTO part SELECT 'r' || (i % 50), i, '2020-01-01', 'one of many' FROM n;"
    );
    rusqlite::Connection::open(&path).unwrap().execute_batch(&format!("{PARTS}{many}")).unwrap();
    [Rental::pull(app, format!("sqlite:{}", path.display())), Rental::pull(App::of(""), url)]
}

/// How the database means to run the statements that name the table.
#[track_caller]
fn plans(server: &Server, token: &str, document: &Value) -> Vec<String> {
    let answer = server.request("POST", "/query?explain").bearer(token).json(document).send().ok();
    let statements = answer["@explain"]["statements"].as_array().unwrap();
    let of_parts = statements.iter().filter(|statement| {
        let sql = statement["sql"].as_str().unwrap();
        sql.contains("\"part\"") && !sql.starts_with("INSERT")
    });
    let plans: Vec<String> = of_parts.map(|statement| statement["plan"].to_string()).collect();
    assert!(!plans.is_empty(), "{answer}");
    plans
}

#[test]
fn rows_are_found_by_the_index_of_their_key() {
    for rental in parts() {
        let (server, token) = (rental.serve(), rental.token());
        let key = "r7,1007,2020-01-01";
        let ids = ["r7,1007,2020-01-01", "r8,8,2020-01-01", "a%2Cb%25,-7,2024-02-29"];
        for document in [
            json!({"Part": {"id": key, "get": ["words"]}}),
            json!({"Part": {"where": format!("id == \"{key}\""), "get": ["words"]}}),
            json!({"Part": {"id": ids, "get": ["words"]}}),
            json!({"Part": {"id": key, "set": {"words": "changed"}, "get": ["words"]}}),
            json!({"Part": {"id": key, "delete": true}}),
        ] {
            for plan in plans(&server, &token, &document) {
                assert!(!plan.contains("Seq Scan on part"), "{document}: {plan}");
                assert!(!plan.contains("SCAN part") && !plan.contains("SCAN t"), "{document}: {plan}");
                let is_index = plan.contains("Index") || plan.contains("SEARCH");
                assert!(is_index, "{document}: {plan}");
            }
        }
    }
}

#[test]
fn a_row_has_one_key_and_no_other_spelling_of_it() {
    for rental in parts() {
        let (server, token) = (rental.serve(), rental.token());
        let words = |key: &str| {
            let answer = server.get(&token, &format!("/api/Part/{}?get=words", encode(key)));
            (answer.status == 200).then(|| answer.ok()["words"].as_str().unwrap().to_owned())
        };
        for (key, expect) in [
            ("a%2Cb%25,-7,2024-02-29", Some("odd")),
            (",0,0001-01-01", Some("empty")),
            ("%252C,1,9999-12-31", Some("coded")),
            ("r1,1,2020-01-01", Some("one of many")),
            // The same values in other spellings, none of them its key.
            ("a%2cb%25,-7,2024-02-29", None),
            ("a%2Cb%25,-07,2024-02-29", None),
            ("a%2Cb%,-7,2024-02-29", None),
            ("r1,1,2020-1-1", None),
            ("r1,+1,2020-01-01", None),
            // No key of any row.
            ("r1,1", None),
            ("r1,1,2020-01-01,", None),
            ("r1,x,2020-01-01", None),
            ("r1,99999999999999999999,2020-01-01", None),
            ("r1,1,soon", None),
            ("r1", None),
        ] {
            assert_eq!(words(key).as_deref(), expect, "{key} of {}", rental.url);
        }
        // The same where several are asked for at once, and in the order of their keys.
        let asked =
            json!(["r1,1,2020-01-01", "r1,01,2020-01-01", "nothing", ",0,0001-01-01", "r1,1,2020-01-01"]);
        let found = server.query(&token, &json!({"Part": {"id": asked, "get": ["id"]}})).ok();
        assert_eq!(
            found["Part"],
            json!([{"id": ",0,0001-01-01"}, {"id": "r1,1,2020-01-01"}]),
            "{}",
            rental.url
        );
        // What is not there is neither changed nor deleted.
        for part in
            [json!({"id": "r1,01,2020-01-01", "set": {"words": "x"}}), json!({"id": "r1,1", "delete": true})]
        {
            assert_eq!(server.query(&token, &json!({"Part": part})).ok()["Part"], json!([]));
        }
        assert_eq!(rental.sql("SELECT count(*) FROM part WHERE words = 'x'"), "0");
        assert_eq!(rental.sql("SELECT count(*) FROM part"), (MANY + 3).to_string());
        // A key in its spelling is what a new row gets.
        let made = json!({"Part": {"create": true, "region": "100%, or so", "number": 3, "day": "2026-02-28", "words": "new"}});
        let made = server.query(&token, &made).ok()["Part"][0]["id"].clone();
        assert_eq!(made, "100%25%2C or so,3,2026-02-28");
        assert_eq!(words(made.as_str().unwrap()).as_deref(), Some("new"));
    }
}
