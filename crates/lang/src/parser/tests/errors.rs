//! Broken text: every problem is reported at its place, and what stands behind it is still read.

use super::{members, parse_file, places};

/// The problems, and what is still understood.
#[track_caller]
fn check(text: &str, problems: &[&str], understood: &[&str]) {
    let (file, found) = parse_file(0, text);
    assert_eq!(places(text, &found), problems, "{text}");
    assert_eq!(members(&file), understood, "{text}");
}

#[test]
fn nothing_after_an_error_is_lost() {
    check(
        "tabel Team {\n  name: text(100) uniqe\n  size\n  role enum(a b, c) = a\n  alow read if signed_in\n  \
         check size >\n  label name\n  check size > 0\n  index name\n  history 90 days\n}\n",
        &[
            "1:1 `tabel` begins no declaration",
            "2:7 unexpected `:`",
            "2:19 unknown modifier `uniqe`",
            "3:7 expected a type after `size`, found the end of the line",
            "4:15 expected `,` or `)`, found `b`",
            "5:3 `alow` begins no line of a table, and no type follows it",
            "6:15 expected an expression, found the end of the line",
            "8:17 expected a message for people, in quotes, found the end of the line",
            "9:9 expected `(` and columns, found `name`",
        ],
        &[
            "name text",
            "size ",
            "role enum",
            "ALLOW 1",
            "CHECK (> size !)",
            "LABEL name",
            "CHECK (> size 0)",
            "INDEX 0",
            "HISTORY 90_days",
        ],
    );
}

#[test]
fn columns() {
    check("table T {\n a text unique unique\n}", &["2:16 this is said twice"], &["a text"]);
    check("table T {\n a text nullable\n}", &["2:9 unknown modifier `nullable`"], &["a text"]);
    check(
        "table T {\n a Team?[] by b\n}",
        &["2:9 `?` stands behind `[]`: the items of a list are never null"],
        &["a Team"],
    );
    check(
        "table T {\n not int\n b int\n}",
        &["2:2 `not` is a word of the language and cannot be a name"],
        &["not int", "b int"],
    );
    check(
        "table T {\n a User on delete nothing\n b int\n}",
        &["2:19 expected `cascade`, `restrict` or `null`, found `nothing`"],
        &["a User", "b int"],
    );
    check(
        "table T {\n a int = \n b int min\n c int\n}",
        &[
            "2:9 expected an expression, found the end of the line",
            "3:11 expected an expression, found the end of the line",
        ],
        &["a int", "b int", "c int"],
    );
    check(
        "table T {\n a decimal(10,\n b int\n}",
        &["2:15 expected a number or a name or `)`, found the end of the line"],
        &["a decimal", "b int"],
    );
}

#[test]
fn a_column_called_like_a_modifier_needs_a_clear_type() {
    check(
        "table T {\n a Team[], by team\n lower txt\n b int\n}",
        &["2:15 expected a type after `by`, found `team`", "3:8 expected a type after `lower`, found `txt`"],
        &["a Team", "by ", "lower ", "b int"],
    );
}

#[test]
fn blocks() {
    check("table T {\n a int\n", &["2:7 the block of `T` is not closed"], &["a int"]);
    check(
        "table {\n a int b\n}\ntable T { a int }",
        &["1:7 expected the name of a table, found `{`", "2:8 unknown modifier `b`"],
        &["a int"],
    );
    check(
        "}\ntable T { a int }\n}",
        &["1:1 this `}` closes nothing", "3:1 this `}` closes nothing"],
        &["a int"],
    );
    check(
        "what is this { a b }\ntable T (tennant) { a int }",
        &[
            "1:1 expected a declaration, found `what`",
            "2:10 expected `tenant`: nothing else stands in parentheses behind the name of a table",
        ],
        &["a int"],
    );
    let text = "table A {\n a int\n\ntable B {\n b int\n}";
    let (file, problems) = parse_file(0, text);
    assert_eq!(places(text, &problems), ["2:7 the block of `A` is not closed"]);
    assert_eq!(file.items.len(), 2);
}

#[test]
fn streams() {
    check(
        "stream S {\n event A { a int = 5, b }\n command go(a) {\n  alow if x\n  require y\n  emit A { a = , b }\n }\n on A { a = b c }\n d int\n}",
        &[
            "2:18 expected a field or `}`, found `=`",
            "3:14 expected a type after `a`, found `)`",
            "4:3 expected `allow`, `require`, `emit` or `}`, found `alow`",
            "5:12 expected a message for people, in quotes, found the end of the line",
            "6:16 expected an expression, found `,`",
            "8:17 expected `=` and the column's new value, found `}`",
        ],
        &["EVENT A 1", "COMMAND go 2", "ON A 2", "d int"],
    );
}

#[test]
fn documentation_that_belongs_to_nothing() {
    check(
        "table T {\n a int /// the a\n /// lost\n label a\n /// lost\n}\n/// lost",
        &[
            "2:8 warning: documentation (`///`) stands on lines of its own, above what it describes",
            "3:2 warning: this documentation belongs to nothing",
            "5:2 warning: this documentation belongs to nothing",
            "7:1 warning: this documentation belongs to nothing",
        ],
        &["a int", "LABEL a"],
    );
}

#[test]
fn an_app_is_named_once() {
    let text = "app a \"A\"\napp b\nuse identity, files\nuse mail";
    let (file, problems) = parse_file(0, text);
    assert_eq!(places(text, &problems), ["2:1 the app is named twice"]);
    assert_eq!(file.uses.len(), 3);
}
