//! What cannot be done on a database that others made: each is refused in words, and leaves nothing behind.

use mainstay_testkit::socket::Socket;
use serde_json::json;

use super::{ORDER, Rental, rentals};
use crate::support::Server;

/// A command that is refused in words, on either database.
#[track_caller]
fn refused(command: impl Fn(&Rental) -> Vec<String>, words: &str) {
    for rental in rentals() {
        let before = rental.structure();
        let command = command(&rental);
        let words_of: Vec<&str> = command.iter().map(String::as_str).collect();
        let said = rental.app.run(&words_of).ended(1).stderr;
        assert!(said.contains(words), "{command:?}: {said}");
        assert_eq!(rental.structure(), before, "{command:?}");
    }
}

/// Words of a command, and the database.
fn on(rental: &Rental, words: &[&str]) -> Vec<String> {
    words.iter().chain(&["--database", rental.url.as_str()]).map(|word| (*word).to_owned()).collect()
}

const OF_OTHERS: &str = "its database was made by others";

#[test]
fn no_migration_is_planned() {
    refused(|rental| on(rental, &["migrate", "plan", "rental"]), OF_OTHERS);
}

#[test]
fn no_migration_is_applied() {
    refused(|rental| on(rental, &["migrate", "apply", "rental"]), OF_OTHERS);
}

#[test]
fn it_has_no_migrations_to_tell_of() {
    refused(|rental| on(rental, &["migrate", "status", "rental"]), OF_OTHERS);
}

#[test]
fn it_is_not_moved() {
    refused(
        |rental| {
            let to = "sqlite:elsewhere.db";
            ["move", "rental", "--from", &rental.url, "--to", to].map(str::to_owned).into()
        },
        OF_OTHERS,
    );
}

#[test]
fn nothing_is_moved_into_it() {
    refused(
        |rental| {
            let from = "sqlite:elsewhere.db";
            ["move", "rental", "--from", from, "--to", &rental.url].map(str::to_owned).into()
        },
        OF_OTHERS,
    );
}

#[test]
fn it_is_not_backed_up() {
    refused(|rental| on(rental, &["backup", "rental", "copy"]), OF_OTHERS);
}

#[test]
fn it_is_not_restored() {
    refused(
        |rental| {
            // Of the app whose database Mainstay made, so that nothing is wrong with the file.
            rental.app.write("app.stay", "app mine\ntable A { n int }");
            rental.app.run(&["query", "APP", "{\"A\": {}}", "--admin"]).succeeded();
            let file = rental.app.path().join("copy.backup").display().to_string();
            rental.app.run(&["backup", "APP", &file]).succeeded();
            on(rental, &["restore", "rental", &file])
        },
        OF_OTHERS,
    );
}

#[test]
fn it_has_no_queue_of_jobs() {
    refused(|rental| on(rental, &["jobs", "list", "rental"]), OF_OTHERS);
}

#[test]
fn nobody_works_on_its_jobs() {
    refused(|rental| on(rental, &["work", "rental"]), OF_OTHERS);
}

#[test]
fn its_users_are_not_made_here() {
    refused(
        |rental| on(rental, &["user", "create", "rental", "--email", "a@example.org", "--name", "A"]),
        "the app has no users",
    );
}

#[test]
fn its_users_have_no_permissions() {
    refused(|rental| on(rental, &["user", "grant", "rental", "a@example.org", "x"]), "the app has no users");
}

/// The app with something said otherwise is not served, and why is said.
#[track_caller]
fn unlike(changes: &[(&str, &str)], words: &str) {
    for rental in rentals() {
        let before = rental.structure();
        let mut stay = rental.stay();
        for (from, to) in changes {
            assert!(stay.contains(from), "{from}\n{stay}");
            stay = stay.replacen(from, to, 1);
        }
        rental.app.write("../rental/rental.stay", stay);
        let said = rental.app.run(&["serve", "rental", "--database", &rental.url]).ended(1).stderr;
        assert!(said.contains(words), "{changes:?} on {}: {said}", rental.url);
        assert_eq!(rental.structure(), before);
    }
}

#[test]
fn a_capability_with_jobs_is_refused() {
    unlike(&[(" existing\n", " existing\nuse jobs\n")], "stands on tables of the platform's");
}

#[test]
fn a_capability_with_mails_is_refused() {
    unlike(&[(" existing\n", " existing\nuse mail\n")], "stands on tables of the platform's");
}

#[test]
fn a_capability_that_knows_who_is_there_is_refused() {
    unlike(&[(" existing\n", " existing\nuse presence\n")], "stands on tables of the platform's");
}

#[test]
fn a_table_that_is_not_there_is_refused() {
    unlike(&[("db \"actor\"", "db \"actress\"")], "Actor: the table actress is not in the database");
}

#[test]
fn a_view_is_no_table() {
    unlike(
        &[(
            "table Actor db",
            "table Shown db \"film_list\" { id int db \"rating\", title text(255), without created, updated }\ntable Actor db",
        )],
        "Shown: the table film_list is a view, not a table",
    );
}

#[test]
fn a_column_that_is_not_there_is_refused() {
    unlike(
        &[("  last_name   text(45)", "  last_name   text(45) db \"family_name\"")],
        "Actor.last_name: the table actor has no column family_name",
    );
}

#[test]
fn a_column_that_may_be_null_is_not_required() {
    unlike(
        &[("  description        text?", "  description        text")],
        "Film.description: description may be null in the database; write `?` behind its type",
    );
}

#[test]
fn a_key_that_nothing_keeps_unique_is_none() {
    unlike(
        &[(
            "table Actor db",
            "table Trail db \"audit_trail\" { id text(20) db \"what\", without created, updated }\ntable Actor db",
        )],
        "Trail: nothing in the database keeps what of audit_trail unique, so it is no key",
    );
}

#[test]
fn one_column_does_not_lead_to_a_key_of_several() {
    unlike(
        &[("  quantity    int             = 1", "  quantity    OrderDetails")],
        "OrderDetails.quantity: OrderDetails has a key of several columns, which one column cannot lead to",
    );
}

#[test]
fn a_table_between_two_others_has_the_columns_it_is_said_to() {
    unlike(
        &[("(\"actor_id\", \"film_id\")", "(\"actor_id\", \"movie_id\")")],
        "the table film_actor has no column movie_id",
    );
}

/// A request that is refused with a problem, on either database.
#[track_caller]
fn problem(ask: impl Fn(&Server, &str)) {
    for rental in rentals() {
        let before = rental.structure();
        let (server, token) = (rental.serve(), rental.token());
        ask(&server, &token);
        let rows = rental.sql("SELECT count(*), sum(quantity), min(film_id) FROM \"Order Details\"");
        assert_eq!(rows, "1|2|1");
        drop(server);
        assert_eq!(rental.structure(), before);
    }
}

#[test]
fn no_answer_is_kept_for_a_key() {
    problem(|server, token| {
        let make = json!({"Actor": {"create": true, "first_name": "A", "last_name": "B"}});
        let request =
            server.request("POST", "/query").bearer(token).header("idempotency-key", "k").json(&make);
        request.send().problem(422, "log.off");
        let made = json!({"Actor": {"first_name": "A", "get": ["id"]}});
        assert_eq!(server.query(token, &made).ok()["Actor"], json!([]));
    });
}

#[test]
fn a_row_has_no_history() {
    problem(|server, token| {
        server.get(token, "/api/Film/1/history").problem(422, "log.off");
    });
}

#[test]
fn a_list_is_not_listened_to() {
    problem(|server, token| {
        let request = server.request("GET", "/api/Film").bearer(token).header("accept", "text/event-stream");
        request.send().problem(422, "log.off");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_subscribed_to() {
    for rental in rentals() {
        let (server, token) = (rental.serve(), rental.token());
        let mut socket = Socket::open(&format!("http://{}", server.address()), &token).await;
        socket.say(json!({"id": 1, "subscribe": {"Film": {"get": ["title"]}}})).await;
        let frame = socket.hear().await;
        assert_eq!((&frame["status"], &frame["body"]["key"]), (&json!(422), &json!("log.off")), "{frame}");
    }
}

#[test]
fn what_the_database_computes_is_not_set() {
    problem(|server, token| {
        let set = json!({"Film": {"id": 1, "set": {"title_length": 3}}});
        server.query(token, &set).problem_at(422, "value.invalid", "/Film/set/title_length");
    });
}

#[test]
fn a_key_of_several_columns_is_not_given() {
    problem(|server, token| {
        let make = json!({"OrderDetails": {"create": true, "id": format!("{ORDER},2"), "order_id": ORDER, "film": 2, "unit_price": "1"}});
        server.query(token, &make).problem_at(422, "value.invalid", "/OrderDetails/id");
    });
}

#[test]
fn a_key_of_several_columns_is_not_changed() {
    problem(|server, token| {
        let set = json!({"OrderDetails": {"id": format!("{ORDER},1"), "set": {"id": format!("{ORDER},2")}}});
        server.query(token, &set).problem_at(422, "value.invalid", "/OrderDetails/set/id");
    });
}

#[test]
fn a_column_of_a_key_is_not_changed() {
    problem(|server, token| {
        let set = json!({"OrderDetails": {"id": format!("{ORDER},1"), "set": {"film": 2}}});
        server.query(token, &set).problem_at(422, "value.invalid", "/OrderDetails/set/film");
    });
}

#[test]
fn a_key_of_several_columns_is_taken_once() {
    problem(|server, token| {
        let make = json!({"OrderDetails": {"create": true, "order_id": ORDER, "film": 1, "unit_price": "1"}});
        server.query(token, &make).problem(409, "unique");
    });
}

#[test]
fn rows_without_a_version_are_not_compared_by_one() {
    problem(|server, token| {
        let set = json!({"OrderDetails": {"id": format!("{ORDER},1"), "if_updated": "2026-01-01T00:00:00Z", "set": {"quantity": 9}}});
        server.query(token, &set).problem_at(422, "value.invalid", "/OrderDetails/if_updated");
    });
}
