//! Conditions and the routes that they become.

use mainstay_lang::expr::{Expr, Node};
use mainstay_lang::filter::compile_filter;
use mainstay_lang::value::Value;
use mainstay_testkit::database::schema_of;

use super::{By, Route, key_of, routes};

const APP: &str = "
table Club { name text }
table Team { name text  club Club?  members Person[] by team }
table Person { name text  team Team? }
table Alert {
  severity enum(info, warning, serious)
  public   bool
  size    int
  ratio    float
  note     text?
  sender   Team
  receivers Team[]
}
";

/// The routes of conditions, as `columns = keys`.
fn routes_of(conditions: &[&str]) -> Vec<String> {
    let schema = schema_of(APP).unwrap();
    let table = schema.table_named("Alert").unwrap();
    let conditions: Vec<Expr> =
        conditions.iter().map(|text| compile_filter(&schema, table.id, text).unwrap().condition).collect();
    let value_of = |of: &Expr| match &of.node {
        Node::Literal(value) => Some(value.clone()),
        _ => None,
    };
    let show = |route: Route| {
        let by = match &route.by {
            By::Columns(columns) => {
                let names = columns.iter().map(|column| table.column(*column).name.as_str());
                names.collect::<Vec<_>>().join(",")
            }
            By::Way(way) => {
                let end = schema.table(way.steps.last().unwrap().target());
                format!("{}.{}", "way".repeat(way.steps.len()), end.column(way.column).name)
            }
        };
        let keys: Vec<String> = route.keys.iter().map(|key| key.trim_end().replace('\n', ",")).collect();
        format!("{by} = {}", keys.join(" | "))
    };
    routes(&conditions, &value_of).into_iter().map(show).collect()
}

fn check(conditions: &[&str], expect: &[&str]) {
    assert_eq!(routes_of(conditions), expect, "{conditions:?}");
}

#[test]
fn equalities_are_keys() {
    check(&["severity == info"], &["severity = \"info\""]);
    check(&["severity == info and size > 3"], &["severity = \"info\""]);
    check(&["severity == info", "size == 3"], &["severity,size = \"info\",3"]);
    check(&["size in [1, 2]"], &["size = 1 | 2"]);
    check(&["note == null"], &["note = null"]);
    check(&["public"], &["public = true"]);
    check(&["not public"], &["public = false"]);
}

#[test]
fn alternatives_are_routes_of_their_own() {
    check(&["severity == info or size == 3 and public"], &["severity = \"info\"", "public,size = true,3"]);
    check(&["size == 1 or size == 2"], &["size = 1 | 2"]);
    check(&["size == 1 or size > 5"], &[" = "]);
    check(&["(size == 1 or size == 2) and public"], &["public,size = true,1 | true,2"]);
}

#[test]
fn what_contradicts_itself_has_no_route() {
    check(&["severity == info", "severity == serious"], &[]);
    check(&["severity == info or public", "severity == serious"], &["severity,public = \"serious\",true"]);
    check(&["false"], &[]);
}

#[test]
fn what_is_not_understood_finds_everything() {
    check(&[], &[" = "]);
    check(&["true"], &[" = "]);
    check(&["ratio == 0.5"], &[" = "]);
    check(&["note ~ \"x\""], &[" = "]);
    check(&["note != null"], &[" = "]);
    check(&["not (size == 1)"], &[" = "]);
}

#[test]
fn rows_that_are_led_to_have_keys_where_the_row_has_none() {
    check(&["sender.name == \"x\""], &["way.name = \"x\""]);
    check(&["receivers.any(name == \"x\")"], &["way.name = \"x\""]);
    check(&["receivers.any(name == \"x\" or name == \"y\")"], &["way.name = \"x\" | \"y\""]);
    check(&["receivers.any(name == \"x\")", "size == 3"], &["size = 3"]);
    check(&["size == 3 or receivers.any(name == \"x\")"], &["size = 3", "way.name = \"x\""]);
    // One receiver may be called this and another one that; a sender has one name.
    check(&["receivers.any(name == \"x\")", "receivers.any(name == \"y\")"], &["way.name = \"x\""]);
    check(&["sender.name == \"x\"", "sender.name == \"y\""], &[]);
    check(&["receivers.none(name == \"x\")"], &[" = "]);
    check(&["receivers.any(name == this.note)"], &[" = "]);
    check(&["sender.name == null"], &[" = "]);
}

#[test]
fn a_way_may_lead_through_many_rows() {
    check(&["sender.club.name == \"x\""], &["wayway.name = \"x\""]);
    check(&["receivers.any(club.name == \"x\")"], &["wayway.name = \"x\""]);
    check(&["receivers.any(members.any(name == \"x\"))"], &["wayway.name = \"x\""]);
    check(&["sender.members.any(team.club.name == \"x\")"], &["waywaywayway.name = \"x\""]);
    // Of several, the one with the fewest values; the row's own columns before all others.
    let some = "sender.club.name in [\"x\", \"y\"] and sender.members.any(name == \"z\")";
    check(&[some], &["wayway.name = \"z\""]);
    check(&[some, "public"], &["public = true"]);
    check(&["receivers.any(members.none(name == \"x\"))"], &[" = "]);
}

#[test]
fn many_alternatives_are_no_key() {
    let text = (0..40).map(|n| format!("size == {n} and ratio > {n}.5")).collect::<Vec<_>>().join(" or ");
    check(&[&text], &[" = "]);
    check(&[&text, "public"], &["public = true"]);
}

#[test]
fn rows_have_the_key_that_a_route_has() {
    let schema = schema_of(APP).unwrap();
    let table = schema.table_named("Alert").unwrap();
    let mut row = vec![Value::Null; table.columns.len()];
    let severity = table.column_named("severity").unwrap().id;
    row[severity.0 as usize] = Value::Text("info".to_owned());
    assert_eq!(&*key_of(&[severity], &row), "\"info\"\n");
}
