//! The canonical layout: what it looks like, that it loses nothing, that it is its own fixed point.

use super::format;

#[track_caller]
fn check(text: &str, expected: &str) {
    let formatted = format(text).unwrap();
    assert_eq!(formatted, expected, "{formatted}");
    assert_eq!(format(&formatted).unwrap(), expected, "formatting again changes it");
}

#[test]
fn the_documented_examples() {
    let text = include_str!("../../tests/examples/language.stay");
    check(text, include_str!("../../tests/examples/language.formatted.stay"));
}

#[test]
fn columns_are_aligned() {
    check(
        "table T{a int=1\n long_name text(20)?unique\n c enum( a,b , c,dddddd,eeeeee )=a\n\n d Team [ ] by e}",
        "table T {\n  a          int        = 1\n  long_name  text(20)?  unique\n  \
         c          enum(a, b, c, dddddd, eeeeee) = a\n\n  d  Team[] by e\n}\n",
    );
    check(
        "table T { a int unique, b text(200) trim, unique(a,b), label b, order -a , b, index ( a ) }",
        "table T {\n  a  int        unique\n  b  text(200)  trim\n  unique (a, b)\n  label b\n  order -a, b\n  index (a)\n}\n",
    );
}

#[test]
fn rules_and_checks_are_aligned() {
    check(
        "table T {\nallow read if a\nallow create,update ( b ) if (c or d)\nallow all\ncheck a>0 \"A\"\nwarn a>0 and b \"B\" }",
        "table T {\n  allow read              if a\n  allow create, update(b) if (c or d)\n  allow all\n  \
         check a > 0        \"A\"\n  warn  a > 0 and b  \"B\"\n}\n",
    );
}

#[test]
fn expressions() {
    let check_default = |from: &str, to: &str| {
        check(&format!("flag f = {from}"), &format!("flag f = {to}\n"));
    };
    check_default("a+ -b*( c )", "a + -b * (c)");
    check_default("- - 1-1", "--1 - 1");
    check_default("-9223372036854775808-1", "-9223372036854775808 - 1");
    check_default("not  a . b . any ( x,y ,)", "not a.b.any(x, y)");
    check_default("a not  in[1,2]and b in [ ]", "a not in [1, 2] and b in []");
    check_default("if a then(b)else c??d", "if a then (b) else c ?? d");
    check_default("now( )+30   days", "now() + 30 days");
    check_default("a!~\"x  y\"or@2026-01-31<b", "a !~ \"x  y\" or @2026-01-31 < b");
}

#[test]
fn the_authors_line_breaks_inside_a_member_stay() {
    check(
        "table T {\n allow read if a\n or b.any(\n x\n and y\n )\n or c\n role enum(\n bar,\n security,\n )\n unique\n}",
        "table T {\n  allow read if a\n      or b.any(\n    x\n    and y\n  )\n      or c\n  role  enum(\n    bar,\n    \
         security\n  )\n      unique\n}\n",
    );
}

#[test]
fn small_blocks_stand_on_one_line_when_they_fit() {
    check(
        "stream S {\n event A {\n a int\n b text(5)?\n }\n event Bcd\n event E { }\n on A\n {\n a = 5\n days = 3, }\n \
         command go { emit A {a,b=1\n c} }\n command none {}\n}",
        "stream S {\n  event A { a int, b text(5)? }\n  event Bcd\n  event E {}\n  on A    { a = 5  days = 3 }\n  \
         command go {\n    emit A { a, b = 1, c }\n  }\n  command none {}\n}\n",
    );
    let long = "stream S { event A { first_field_of_many int, second_field_of_many int, third_field_of_many int, fourth_field int } }";
    check(
        long,
        "stream S {\n  event A {\n    first_field_of_many int\n    second_field_of_many int\n    \
         third_field_of_many int\n    fourth_field int\n  }\n}\n",
    );
    check(
        "stream S { on A { a = 1 // one\n b = 2 } }",
        "stream S {\n  on A {\n    a = 1  // one\n    b = 2\n  }\n}\n",
    );
}

#[test]
fn comments_and_documentation_keep_their_places() {
    check(
        "// top\n\n\n///Doc.\ntable T { // opens\n\n\n  // own\n  ///  A.\n  a int // one\n  bcd int=1//two\n  // last\n\n} // closes\n// after\nflag f = a // x\n  // inside\n  and b\n// end",
        "// top\n\n/// Doc.\ntable T {  // opens\n  // own\n  ///  A.\n  a    int       // one\n  bcd  int  = 1  //two\n  \
         // last\n}  // closes\n\n// after\nflag f = a  // x\n    // inside\n    and b\n// end\n",
    );
}

#[test]
fn blank_lines_are_kept_once_and_blocks_stand_by_themselves() {
    check(
        "app a \"A\"\nuse b\n\n\n\nflag f = true\nflag g = true\n// of T\ntable T {\n\n a int\n\n\n b int\n\n}\nflag h = true\n",
        "app a \"A\"\nuse b\n\nflag f = true\nflag g = true\n\n// of T\ntable T {\n  a  int\n\n  b  int\n}\n\nflag h = true\n",
    );
    check("", "");
    check("\r\n// only\r\n", "// only\n");
    check(
        "\u{feff}table T { a int }\r\ntable U db \"u\"(tenant){}",
        "table T {\n  a  int\n}\n\ntable U db \"u\" (tenant) {}\n",
    );
}

#[test]
fn text_with_errors_is_refused() {
    let problems = format("table T {\n a int uniqe\n /// lost\n}").unwrap_err();
    assert_eq!(problems.len(), 1, "the warning is no reason: {problems:?}");
    assert!(problems[0].message.contains("uniqe"));
    assert_eq!(format("table T {\n /// lost\n}").unwrap(), "table T {\n  /// lost\n}\n");
}
