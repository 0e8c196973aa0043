//! Tables, their members and everything else that a file declares.

use super::{members, parse_file, places};
use crate::syntax::{Item, Member, ModifierKind};

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let (file, problems) = parse_file(0, text);
    assert_eq!(places(text, &problems), Vec::<String>::new(), "{text}");
    assert_eq!(members(&file), expected, "{text}");
}

#[test]
fn members_need_no_separators() {
    check(
        "table T { a int b text(20) trim lower c Team? on delete null index (a, b) unique (a) label b allow read }",
        &["a int", "b text", "c Team", "INDEX 2", "UNIQUE 1", "LABEL b", "ALLOW 1"],
    );
    check(
        "table T { a int = 1 + 2 b bool = not c d Team[] by e f Team[] order -a, b history 90 days }",
        &["a int", "b bool", "d Team", "f Team", "ORDER 2", "HISTORY 90_days"],
    );
    check(
        "table T { a User on delete cascade, b text(200), unique (a, b), order -a, b, label b, allow read, create, allow all, c int }",
        &["a User", "b text", "UNIQUE 2", "ORDER 2", "LABEL b", "ALLOW 2", "ALLOW 1", "c int"],
    );
    check(
        "table T {\n  check a == 1 \"one\" check (a or b)\n    and c \"two\" warn d \"three\"\n  e int }",
        &["CHECK (== a 1)", "CHECK (and <(or a b)> c)", "WARN d", "e int"],
    );
    check(
        "stream S { on A { a = event.a  b = 5 days = 6 } event A { a int b int? } event B event C command go { } }",
        &["ON A 3", "EVENT A 2", "EVENT B 0", "EVENT C 0", "COMMAND go 0"],
    );
}

#[test]
fn commas_between_members_mean_nothing() {
    check(
        "table User { email text(320) unique trim lower match email, name text(200) trim, label name, \
         allow read if id == user.id }",
        &["email text", "name text", "LABEL name", "ALLOW 1"],
    );
    check("stream S { event A { a int b int, }, on A { a = 1, b = 2 } }", &["EVENT A 2", "ON A 2"]);
}

#[test]
fn words_of_lines_may_be_columns() {
    check(
        "table T {\n label text(20)\n index int\n unique bool\n history text\n check bool\n warn date = today()\n }",
        &["label text", "index int", "unique bool", "history text", "check bool", "warn date"],
    );
    check(
        "table T {\n event Event\n command text\n on bool\n allow bool\n label Team\n label text\n }",
        &["event Event", "command text", "on bool", "allow bool", "label Team", "LABEL text"],
    );
    check(
        "table T {\n a text\n lower text\n min int\n match Match?\n auto int\n db text\n hidden bool\n }",
        &["a text", "lower text", "min int", "match Match", "auto int", "db text", "hidden bool"],
    );
    check(
        "table T {\n members User[]\n by User\n days int = 5\n days int\n check date > today() \"later\"\n }",
        &["members User", "by User", "days int", "days int", "CHECK (> date today())"],
    );
    check(
        "stream S {\n event Event?\n order text\n order created\n table Table\n flag bool = false\n app text\n}",
        &["event Event", "ORDER 1", "ORDER 1", "table Table", "flag bool", "app text"],
    );
}

#[test]
fn modifiers() {
    let text = "table T {\n a decimal(10, 2) = 1.50 unique index trim lower min -1 max 5 days match \"^a\" immutable\n  \
                secret hidden on delete restrict db \"b\" auto per (year(created), team)\n b text match email\n}";
    let (file, problems) = parse_file(0, text);
    assert_eq!(places(text, &problems), Vec::<String>::new());
    let [Item::Table(table)] = file.items.as_slice() else { panic!("a table") };
    let [Member::Column(first), Member::Column(second)] = table.members.as_slice() else {
        panic!("two columns")
    };
    assert_eq!(first.ty.args.len(), 2);
    assert_eq!(first.modifiers.len(), 14);
    let Some(ModifierKind::Auto(selectors)) = first.modifiers.last().map(|modifier| &modifier.kind) else {
        panic!("auto is the last");
    };
    assert_eq!(selectors.len(), 2);
    assert!(matches!(&second.modifiers[0].kind, ModifierKind::MatchNamed(name) if name.text == "email"));
}

#[test]
fn documentation_belongs_to_what_follows() {
    let text = "/// One.\n///  Two.\ntable T (tenant) db \"t\" {\n  /// A.\n  a int\n}\n";
    let (file, problems) = parse_file(0, text);
    assert_eq!(places(text, &problems), Vec::<String>::new());
    let [Item::Table(table)] = file.items.as_slice() else { panic!("a table") };
    assert_eq!(table.docs, "One.\n Two.");
    assert_eq!(table.db.as_ref().unwrap().text, "t");
    assert!(table.tenant.is_some());
    let Member::Column(column) = &table.members[0] else { panic!("a column") };
    assert_eq!(column.docs, "A.");
}

#[test]
fn datasets_flags_and_settings() {
    let text = "dataset Order.main {\n Order OrderLine\n Customer reference }\nflag f = false \"F\"\nsetting s int = 5\n";
    let (file, problems) = parse_file(0, text);
    assert_eq!(places(text, &problems), Vec::<String>::new());
    let [Item::Dataset(dataset), Item::Flag(flag), Item::Setting(setting)] = file.items.as_slice() else {
        panic!("three items: {:?}", file.items);
    };
    let members: Vec<_> =
        dataset.members.iter().map(|(name, reference)| (name.text.as_str(), *reference)).collect();
    assert_eq!(members, [("Order", false), ("OrderLine", false), ("Customer", true)]);
    assert_eq!(flag.description.as_ref().unwrap().text, "F");
    assert!(setting.description.is_none());
}
