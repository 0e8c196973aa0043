//! Tables and indexes as SQLite has them, as text.

use mainstay_sql::SQLITE;
use mainstay_sql::ddl::create_schema;

use crate::harness::schema;
use crate::migrations::step;

#[test]
fn tables_and_indexes_of_a_schema() {
    let schema = schema(
        r#"
table Team { name text(100) unique, friends Team[], allow read }
table Thing {
  id int
  team Team
  owner User?
  number int?
  price decimal(10, 2)
  data json?
  index (team, number)
  order -number
  allow read if number == 3 or owner == user
}
"#,
    );
    let statements = create_schema(&schema, SQLITE);
    let of_app: Vec<&str> = statements
        .iter()
        .map(String::as_str)
        .filter(|text| text.contains("\"Thing") || text.contains("\"Team_friends"))
        .collect();
    insta::assert_snapshot!(of_app.join("\n"), @r#"
    CREATE TABLE "Thing" ("id" INTEGER PRIMARY KEY, "created" TEXT NOT NULL, "updated" TEXT NOT NULL, "team" TEXT NOT NULL REFERENCES "Team" ("id") ON DELETE RESTRICT, "owner" TEXT REFERENCES "User" ("id") ON DELETE RESTRICT, "number" INTEGER, "price" INTEGER NOT NULL, "data" TEXT) STRICT
    CREATE TABLE "Team_friends" ("owner" TEXT NOT NULL REFERENCES "Team" ("id") ON DELETE RESTRICT, "target" TEXT NOT NULL REFERENCES "Team" ("id") ON DELETE RESTRICT, PRIMARY KEY ("owner", "target")) STRICT, WITHOUT ROWID
    CREATE INDEX "Thing.team.number.index" ON "Thing" ("team", "number")
    CREATE INDEX "Thing.number.index" ON "Thing" ("number")
    CREATE INDEX "Thing.owner.-number.index" ON "Thing" ("owner", "number" DESC)
    CREATE INDEX "Team_friends.target.owner.index" ON "Team_friends" ("target", "owner")
    "#);
}

#[test]
fn indexes_of_a_tenant_begin_with_it() {
    let schema = schema(
        "table Tenant { name text, allow read }\ntable Doc (tenant) { code text unique, day date index, allow read if code == user.name }",
    );
    let statements = create_schema(&schema, SQLITE);
    let of_doc: Vec<&str> =
        statements.iter().map(String::as_str).filter(|text| text.contains("INDEX \"Doc")).collect();
    insta::assert_snapshot!(of_doc.join("\n"), @r#"
    CREATE UNIQUE INDEX "Doc.tenant.code.unique" ON "Doc" ("tenant", "code")
    CREATE INDEX "Doc.tenant.day.index" ON "Doc" ("tenant", "day")
    "#);
}

#[test]
fn what_is_safe_is_done() {
    let before = "table A { a text unique, allow read }";
    let after = "table A { a text, b A?, c A[], n int = 5 index, t text = \"it's\", e enum(x, y) = y, on bool = true, allow read }\ntable B { a A, allow read }";
    let steps = step(before, after);
    insta::assert_snapshot!(steps.join("\n"), @r#"
    DROP INDEX IF EXISTS "A.a.unique"
    CREATE TABLE "B" ("id" TEXT NOT NULL PRIMARY KEY, "created" TEXT NOT NULL, "updated" TEXT NOT NULL, "a" TEXT NOT NULL REFERENCES "A" ("id") ON DELETE RESTRICT) STRICT
    CREATE TABLE "A_c" ("owner" TEXT NOT NULL REFERENCES "A" ("id") ON DELETE RESTRICT, "target" TEXT NOT NULL REFERENCES "A" ("id") ON DELETE RESTRICT, PRIMARY KEY ("owner", "target")) STRICT, WITHOUT ROWID
    CREATE INDEX "A_c.target.owner.index" ON "A_c" ("target", "owner")
    CREATE INDEX "B.a.index" ON "B" ("a")
    ALTER TABLE "A" ADD COLUMN "b" TEXT REFERENCES "A" ("id") ON DELETE RESTRICT
    ALTER TABLE "A" ADD COLUMN "n" INTEGER NOT NULL DEFAULT 5
    ALTER TABLE "A" ADD COLUMN "t" TEXT NOT NULL DEFAULT 'it''s'
    ALTER TABLE "A" ADD COLUMN "e" TEXT NOT NULL DEFAULT 'y'
    ALTER TABLE "A" ADD COLUMN "on" INTEGER NOT NULL DEFAULT 1
    CREATE INDEX "A.b.index" ON "A" ("b")
    CREATE INDEX "A.n.index" ON "A" ("n")
    "#);
}

#[test]
fn indexes_that_another_one_serves_are_left_out() {
    let check = |columns: &str, expect: &[&str]| {
        let schema = schema(&format!("table T {{ {columns} }}"));
        let names: Vec<String> = mainstay_sql::ddl::indexes(&schema)
            .into_iter()
            .filter(|index| index.table == "T")
            .map(|index| index.name)
            .collect();
        assert_eq!(names, expect, "{columns}");
    };
    let owned = "owner User, n int,";
    check(&format!("{owned} allow read"), &["T.owner.index"]);
    check(&format!("{owned} order -n, allow read"), &["T.-n.id.index", "T.owner.index"]);
    check(&format!("{owned} order -n, allow read if owner == user"), &["T.owner.-n.id.index"]);
    // Many rows may be made at one time: pages of them are read without sorting all.
    let listed = format!("{owned} order -n, index (owner, n), allow read if owner == user");
    check(&listed, &["T.owner.-n.id.index"]);
    check(&format!("id int, {listed}"), &["T.owner.-n.index"]);
    check(&format!("{owned} order -n, index (owner), allow read if owner == user"), &["T.owner.-n.id.index"]);
    check(&format!("{owned} order -n, unique (owner), allow read if owner == user"), &["T.owner.unique"]);
    check(
        &format!("{owned} order -n, allow read if owner == user or n == 3"),
        &["T.owner.-n.id.index", "T.n.id.index"],
    );
    check(&format!("{owned} id int, order -n, index (n), allow read"), &["T.-n.index", "T.owner.index"]);
    check(
        "parent T?, children T[] by parent, n int, order n, allow read",
        &["T.n.id.index", "T.parent.n.id.index"],
    );
}
