//! What declarations become.

use super::analysed;
use crate::schema::{Bound, Member, Operation, Pattern, RelationKind, Schema, Table};
use crate::types::Type;
use crate::value::{Date, Decimal, Value};

#[track_caller]
fn schema(text: &str) -> Schema {
    let (_, analysis) = analysed(text);
    assert_eq!(analysis.diagnostics, [], "{text}");
    analysis.schema.expect("no diagnostic, so there is a schema")
}

fn table<'a>(schema: &'a Schema, name: &str) -> &'a Table {
    schema.table_named(name).expect("declared")
}

#[test]
fn a_key_may_be_chosen() {
    for (id, expected) in [
        ("", Type::Uuid),
        ("id int", Type::Int),
        ("id text(8) trim", Type::Text { max: Some(8) }),
        ("id uuid db \"key\"", Type::Uuid),
    ] {
        let schema =
            schema(&format!("table A {{ {id}\n name text\n allow read }} table B {{ a A\n allow read }}"));
        let a = table(&schema, "A");
        assert_eq!(a.columns[0].ty, expected);
        let names: Vec<&str> = a.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "created", "updated", "name"]);
        let refers = table(&schema, "B").column_named("a").expect("declared");
        assert_eq!(schema.storage_type(&refers.ty), &expected);
    }
}

#[test]
fn a_tenant_table_has_a_fourth_column() {
    let schema = schema("table A (tenant) { name text\n allow read if signed_in }");
    let a = table(&schema, "A");
    let tenant = a.column(a.tenant.expect("it is a tenant table"));
    assert_eq!(
        (tenant.id.0, tenant.name.as_str(), &tenant.ty, tenant.immutable),
        (3, "tenant", &Type::Uuid, true)
    );
}

#[test]
fn modifiers_are_kept() {
    let schema = schema(
        "
        table A {
          code   text(20) unique trim lower match \"^[a-z]+$\" min 2 max 10
          day    date min @2000-01-01 index
          price  decimal(10, 2) = 1.5 min 0
          kind   enum(low, high) = high
          tags   text[] = [\"a\"] max 5
          owner  User? = user hidden
          number int auto per (year(created), kind)
          pin    text? secret immutable db \"legacy pin\"
          data   json = \"{ }\"
          allow read
        }
    ",
    );
    let a = table(&schema, "A");
    let column = |name: &str| a.column_named(name).expect("declared");
    let code = column("code");
    assert!(code.unique && code.trim && code.lower && matches!(code.pattern, Some(Pattern::Regex(_))));
    assert_eq!((code.min.clone(), code.max.clone()), (Some(Bound::Length(2)), Some(Bound::Length(10))));
    assert_eq!(column("day").min, Some(Bound::Value(Value::Date(Date(10957)))));
    let decimal = |mantissa| Value::Decimal(Decimal { mantissa, scale: 2 });
    assert_eq!(column("price").min, Some(Bound::Value(decimal(0))));
    let default = |name: &str| format!("{:?}", column(name).default.as_ref().expect("given").node);
    assert_eq!(default("price"), format!("Literal({:?})", decimal(150)));
    assert_eq!(default("kind"), "Literal(Text(\"high\"))");
    assert_eq!(default("tags"), "Literal(List([Text(\"a\")]))");
    assert_eq!(default("owner"), "Caller(User)");
    assert_eq!(default("data"), "Literal(Json(\"{}\"))");
    assert_eq!(column("number").auto.as_ref().map(|auto| auto.selectors.len()), Some(2));
    let pin = column("pin");
    assert!(pin.secret && pin.immutable && column("owner").hidden);
    assert_eq!(pin.db_name, "legacy pin");
    assert_eq!((a.uniques.len(), a.indexes.len()), (1, 1));
}

#[test]
fn extensions_add_to_any_table() {
    let schema = schema(
        "
        extend A { more int, others B[], index (more), allow update if more > 1, label name }
        table A { name text, allow read }
        table B { as_ A[] by others, allow read }
    ",
    );
    let a = table(&schema, "A");
    assert!(
        matches!(a.members["more"], Member::Column(_)) && matches!(a.members["others"], Member::Relation(_))
    );
    assert_eq!((a.indexes.len(), a.rules.len(), a.label.is_some()), (1, 2, true));
    let back = table(&schema, "B").relation_named("as_").expect("declared");
    let RelationKind::LinkReverse { link, .. } = &back.kind else { panic!("the other side of a link") };
    assert_eq!((link.db_name.as_str(), link.owner), ("A_others", a.id));
}

#[test]
fn a_rule_line_is_written_out() {
    let schema = schema(
        "
        table A {
          name text, mail text?, users User[]
          allow read, update(name, mail) if signed_in
          allow write if user.can(\"x\")
          allow link(users) if signed_in
        }
    ",
    );
    let a = table(&schema, "A");
    let found: Vec<(usize, usize, usize)> = a
        .rules
        .iter()
        .map(|rule| (rule.operations.len(), rule.columns.len(), rule.relations.len()))
        .collect();
    assert_eq!(found, [(1, 0, 0), (1, 2, 0), (3, 0, 0), (1, 0, 1)]);
    assert_eq!(a.rules[2].operations, [Operation::Create, Operation::Update, Operation::Delete]);
    assert_eq!(a.rules[0].span, a.rules[1].span);
}
