//! Counts and aggregates, at the top level and over a relation.

use mainstay_lang::filter::AggregateFunction;
use mainstay_lang::value::Value;
use mainstay_sql::plan::{Aggregate, AggregateOrder, Computed, OutputKind};

use crate::harness::{Db, Run, int, output};

const APP: &str = r#"
table Shop { name text, sales Sale[] by shop, allow read }
table Sale {
  shop Shop
  kind enum(small, large) = small
  quantity int
  price decimal(10, 2)?
  weight float?
  allow read
}
"#;

fn shops() -> Db {
    let db = Db::new(APP);
    for (shop, sales) in [("\"A\"", 3), ("\"B\"", 0)] {
        let shop = format!("\"{}\"", db.insert("Shop", &[("name", shop)]));
        for n in 1..=sales {
            let kind = if n == 1 { "\"large\"" } else { "\"small\"" };
            let price = if n == 2 { "null".to_owned() } else { format!("\"{n}.25\"") };
            let quantity = n.to_string();
            db.insert(
                "Sale",
                &[
                    ("shop", &shop),
                    ("kind", kind),
                    ("quantity", &quantity),
                    ("price", &price),
                    ("weight", "0.5"),
                ],
            );
        }
    }
    db
}

fn aggregate(db: &Db, groups: &[&str], values: &[(&str, AggregateFunction, Option<&str>)]) -> Aggregate {
    Aggregate {
        table: db.table("Sale"),
        filter: Vec::new(),
        groups: groups.iter().map(|by| ((*by).to_owned(), db.value("Sale", by))).collect(),
        values: values
            .iter()
            .map(|(name, function, of)| {
                let of = of.map(|of| db.value("Sale", of));
                ((*name).to_owned(), Computed { function: *function, of })
            })
            .collect(),
        order: Vec::new(),
        limit: None,
        offset: None,
    }
}

const ALL: [(&str, AggregateFunction, Option<&str>); 8] = [
    ("rows", AggregateFunction::Count, None),
    ("priced", AggregateFunction::Count, Some("price")),
    ("sold", AggregateFunction::Sum, Some("quantity")),
    ("worth", AggregateFunction::Sum, Some("price * quantity")),
    ("weight", AggregateFunction::Sum, Some("weight")),
    ("least", AggregateFunction::Min, Some("price")),
    ("most", AggregateFunction::Max, Some("quantity")),
    ("mean", AggregateFunction::Avg, Some("price")),
];

const EVERYTHING: &str =
    r#"{"rows":3,"priced":2,"sold":6,"worth":"11.00","weight":1.5,"least":"1.25","most":3,"mean":2.25}"#;
const NOTHING: &str =
    r#"{"rows":0,"priced":0,"sold":0,"worth":"0.00","weight":0.0,"least":null,"most":null,"mean":null}"#;

fn rows(db: &Db, aggregate: &Aggregate) -> String {
    let statement = mainstay_sql::aggregate(&db.schema, db.dialect, aggregate);
    db.json(&statement, &Run::default()).0.join("")
}

#[test]
fn functions_over_everything_and_over_nothing() {
    let db = shops();
    let mut all = aggregate(&db, &[], &ALL);
    assert_eq!(rows(&db, &all), EVERYTHING);
    all.filter = vec![db.filter("Sale", "quantity > 100")];
    assert_eq!(rows(&db, &all), NOTHING);
}

#[test]
fn groups_are_ordered_as_asked_and_cut() {
    let db = shops();
    let sold = [("sold", AggregateFunction::Sum, Some("quantity"))];
    let mut by_kind = aggregate(&db, &["kind", "shop.name"], &sold);
    assert_eq!(
        rows(&db, &by_kind),
        r#"{"kind":"small","shop.name":"A","sold":5}{"kind":"large","shop.name":"A","sold":1}"#,
        "by declared order when nothing is asked"
    );
    by_kind.order = vec![AggregateOrder { item: 2, descending: false, nulls_first: false }];
    by_kind.limit = Some(int(1));
    assert_eq!(rows(&db, &by_kind), r#"{"kind":"large","shop.name":"A","sold":1}"#);
    by_kind.offset = Some(int(1));
    assert_eq!(rows(&db, &by_kind), r#"{"kind":"small","shop.name":"A","sold":5}"#);
}

#[test]
fn a_relation_is_aggregated_for_each_parent() {
    let db = shops();
    let relation = db.relation("Shop", "sales");
    let kind = |aggregate: Aggregate| OutputKind::Aggregate { relation, aggregate: Box::new(aggregate) };
    let mut shops = db.select("Shop", &["name"]);
    shops.outputs.push(output("all", kind(aggregate(&db, &[], &ALL))));
    shops
        .outputs
        .push(output("kinds", kind(aggregate(&db, &["kind"], &[("n", AggregateFunction::Count, None)]))));
    assert_eq!(
        db.rows(&shops),
        format!(
            r#"[{{"name":"A","all":[{EVERYTHING}],"kinds":[{{"kind":"small","n":2}},{{"kind":"large","n":1}}]}},{{"name":"B","all":[{NOTHING}],"kinds":[]}}]"#
        )
    );
    assert_eq!(db.counted(), 4, "each group row counts");
}

#[test]
fn rows_are_counted_under_conditions() {
    let db = shops();
    let count = |conditions: &[&str]| {
        let conditions: Vec<_> = conditions.iter().map(|text| db.filter("Sale", text)).collect();
        let statement = mainstay_sql::count(&db.schema, db.dialect, db.table("Sale"), &conditions);
        db.values(&statement, &Run::default())
    };
    assert_eq!(count(&[]), [[Value::Int(3)]]);
    assert_eq!(count(&["quantity > 1", "price != null"]), [[Value::Int(1)]]);
}
