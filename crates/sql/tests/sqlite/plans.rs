//! How SQLite finds the rows: by an index wherever one is there for it.

use mainstay_lang::expr::Expr;
use mainstay_lang::types::Type;
use mainstay_sql::plan::{OutputKind, Select};
use mainstay_sql::{SQLITE, select};

use crate::harness::{Db, int, output, param};

const APP: &str = r#"
table Team { name text(100) unique, members User[] by team, alerts Alert[] by sender, allow read }
extend User { team Team? }
table Alert {
  title text
  severity enum(info, serious) = info
  sender Team
  receivers Team[]
  messages Message[] by alert
  number int index
  due timestamp?
  index (severity, created)
  order -created
  allow read if sender == user.team or receivers.any(id == user.team)
}
table Message { alert Alert, author User?, text text, order created, allow read if alert.sender == user.team or author == user }
table Note { owner text(40), allow read if owner == user.email }
"#;

fn plan(db: &Db, plan: &Select) -> String {
    db.plan(&select(&db.schema, SQLITE, plan))
}

fn read_rule(db: &Db, table: &str) -> Expr {
    db.schema.table_named(table).unwrap().rules[0].condition.as_deref().unwrap().clone()
}

#[test]
fn a_row_is_found_by_its_key_whatever_its_rule() {
    let db = Db::new(APP);
    let mut alert = db.select("Alert", &["id", "title"]);
    alert.filter =
        vec![read_rule(&db, "Alert"), db.filter("Alert", "id == \"01900000-0000-7000-8000-000000000001\"")];
    alert.limit = Some(int(1));
    let text = plan(&db, &alert);
    assert!(text.starts_with("SEARCH t1 USING INDEX sqlite_autoindex_Alert_1 (id=?)"), "{text}");
    assert!(!text.contains("LIST SUBQUERY"), "no list is made for one row: {text}");
}

#[test]
fn the_default_order_and_its_pages_need_no_sorter() {
    let db = Db::new(APP);
    let mut alerts = db.select("Alert", &["id", "title"]);
    alerts.order = vec![db.order("Alert", "-created")];
    alerts.limit = Some(int(20));
    alerts.paged = true;
    let first = plan(&db, &alerts);
    assert_eq!(first, "SCAN t1 USING INDEX Alert.-created.id.index");
    alerts.after = Some(vec![param(0, &Type::Timestamp), param(1, &Type::Uuid)]);
    assert_eq!(plan(&db, &alerts), "SEARCH t1 USING INDEX Alert.-created.id.index (created<?)");
    alerts.order[0].descending = false;
    let up = plan(&db, &alerts);
    assert!(up.starts_with("SEARCH t1 USING INDEX") && up.contains("created>?"), "{up}");
    alerts.order = Vec::new();
    alerts.after = Some(vec![param(0, &Type::Uuid)]);
    assert_eq!(plan(&db, &alerts), "SEARCH t1 USING INDEX sqlite_autoindex_Alert_1 (id>?)");
}

#[test]
fn rules_that_follow_relations_start_from_an_index() {
    let db = Db::new(APP);
    let mut alerts = db.select("Alert", &["title"]);
    alerts.filter = vec![read_rule(&db, "Alert")];
    let text = plan(&db, &alerts);
    assert!(text.starts_with("MULTI-INDEX OR"), "{text}");
    assert!(!text.contains("SCAN"), "{text}");
    let mut messages = db.select("Message", &["text"]);
    messages.filter = vec![read_rule(&db, "Message")];
    let text = plan(&db, &messages);
    assert!(text.starts_with("MULTI-INDEX OR"), "{text}");
    assert!(!text.contains("SCAN"), "{text}");
}

#[test]
fn columns_that_rules_compare_are_indexed() {
    let db = Db::new(APP);
    let mut notes = db.select("Note", &["owner"]);
    notes.filter = vec![read_rule(&db, "Note")];
    let text = plan(&db, &notes);
    assert_eq!(text, "SEARCH t1 USING COVERING INDEX Note.owner.id.index (owner=?)", "and nothing is sorted");
}

#[test]
fn nested_lists_are_found_by_their_parent() {
    let db = Db::new(APP);
    let many = |table: &str, relation: &str, select: Select| {
        output(
            relation,
            OutputKind::Many { relation: db.relation(table, relation), select: Box::new(select) },
        )
    };
    let mut messages = db.select("Message", &["text"]);
    messages.limit = Some(int(3));
    let author = db.select("User", &["name"]);
    messages.outputs.push(output(
        "author",
        OutputKind::One { column: db.column("Message", "author"), select: Box::new(author) },
    ));
    let mut alerts = db.select("Alert", &["title"]);
    alerts.outputs.push(many("Alert", "messages", messages));
    alerts.outputs.push(many("Alert", "receivers", db.select("Team", &["name"])));
    let mut teams = db.select("Team", &["name"]);
    teams.filter = vec![db.filter("Team", "name == \"x\"")];
    teams.outputs.push(many("Team", "alerts", alerts));
    teams.limit = Some(int(20));
    let text = plan(&db, &teams);
    let scans: Vec<&str> = text.lines().filter(|line| line.starts_with("SCAN")).collect();
    // What is scanned is the page of each list, found before.
    assert!(scans.iter().all(|line| line.split(' ').count() == 2), "{text}");
    for index in [
        "Team.name.unique (name=?)",
        "Alert.sender.-created.id.index (sender=?)",
        "Message.alert.created.id.index (alert=?)",
    ] {
        assert!(text.contains(index), "{index}\n{text}");
    }
}
