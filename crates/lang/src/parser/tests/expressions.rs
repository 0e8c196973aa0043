//! Expressions: how operators bind, and what may stand where.

use super::{dump_expr, parse_expr, places};

#[track_caller]
fn check(text: &str, expected: &str) {
    let (expr, problems) = parse_expr(0, text);
    assert_eq!(places(text, &problems), Vec::<String>::new(), "{text}");
    assert_eq!(dump_expr(&expr), expected, "{text}");
}

#[track_caller]
fn check_errors(text: &str, expected: &[&str]) {
    let (_, problems) = parse_expr(0, text);
    assert_eq!(places(text, &problems), expected, "{text}");
}

#[test]
fn precedence() {
    check("a or b and not c == d ?? e + f * -g.h", "(or a (and b (not (== c (?? d (+ e (* f (- g.h))))))))");
    check("a - b - c", "(- (- a b) c)");
    check("a / b * c % d", "(% (* (/ a b) c) d)");
    check("a and b or c and d", "(or (and a b) (and c d))");
    check("not not a", "(not (not a))");
    check("not a in b", "(not (in a b))");
    check("a not in [b, 1, \"c\"]", "(!in a [b 1 \"c\"])");
    check("(a or b) and c", "(and <(or a b)> c)");
    check("if a then b else if c then d else e or f", "(if a b (if c d (or e f)))");
    check("1 + if a then 1 else 2 * 3", "(+ 1 (if a 1 (* 2 3)))");
    check("a ?? b ?? c", "(?? (?? a b) c)");
    check("- -1", "(- (- 1))");
    check("a !~ \"x\" or b ~ \"y\"", "(or (!~ a \"x\") (~ b \"y\"))");
}

#[test]
fn operands() {
    check("user.team.role == admin", "(== user.team.role admin)");
    check("members.any(active and this.author == id)", "members.any((and active (== this.author id)))");
    check("user.can(\"a/b\")", "user.can(\"a/b\")");
    check("data.address.order.in", "data.address.order.in");
    check("coalesce(a, b, 1.50)", "coalesce(a b 1.50)");
    check("members.count() > 0", "(> members.count() 0)");
    check("due < now() + 30 days", "(< due (+ now() 30_days))");
    check("due\n<\n30\ndays", "(< due 30_days)");
    check(
        "at >= @2026-01-31T10:00:00Z and day == @2026-01-31",
        "(and (>= at @2026-01-31T10:00:00Z) (== day @2026-01-31))",
    );
    check("x == $from", "(== x $from)");
    check("-9223372036854775808 < 9223372036854775807", "(< -9223372036854775808 9223372036854775807)");
    check("label == check and event != null", "(and (== label check) (!= event null))");
    check("due != null // why\n and x", "(and (!= due null) x)");
}

#[test]
fn mistakes_of_other_languages_are_named() {
    check_errors("a = 1", &["1:3 `=` does not compare"]);
    check_errors(
        "a && !b || c <> d",
        &[
            "1:3 `&&` is written `and` here",
            "1:6 `!` is written `not` here",
            "1:9 `||` is written `or` here",
            "1:14 `<>` is written `!=` here",
        ],
    );
    check_errors("a in (b, c)", &["1:6 a list stands in brackets"]);
    check_errors("0 < a < 9", &["1:7 comparisons do not chain"]);
    check_errors("a == not b", &["1:6 `not` binds more loosely than the operator before it"]);
    check_errors("now() - 2 months", &["1:9 a month has no fixed length"]);
    check_errors("a == 'x'", &["1:6 text stands in double quotes: `\"`"]);
}

#[test]
fn what_is_missing_is_reported_where_it_is_missing() {
    check_errors("", &["1:1 expected an expression, found the end of the text"]);
    check_errors("a ==", &["1:5 expected an expression, found the end of the text"]);
    check_errors("a b", &["1:3 expected an operator or the end of the expression, found `b`"]);
    check_errors("(a", &["1:3 expected an operator or `)`, found the end of the text"]);
    check_errors(
        "f(a b) == (c d)",
        &["1:5 expected `,` or `)`, found `b`", "1:14 expected an operator or `)`, found `d`"],
    );
    check_errors(
        "if a then b",
        &["1:12 expected `else`, found the end of the text: it is `if a then b else c`"],
    );
    check_errors("a. == b", &["1:4 expected a name after `.`, found `==`"]);
    check_errors(
        "9223372036854775808",
        &["1:1 the number is too large: an int is at most 9223372036854775807"],
    );
}

#[test]
fn depth_is_limited() {
    let deep = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(parse_expr(0, &deep(190)).1.is_empty());
    for text in [
        deep(100_000),
        "(".repeat(100_000),
        "not ".repeat(100_000),
        "- ".repeat(100_000),
        "if ".repeat(100_000),
        format!("a{}", " or a".repeat(100_000)),
        format!("a{}", ".a".repeat(100_000)),
        "f(".repeat(100_000),
        "[".repeat(100_000),
    ] {
        let (_, problems) = parse_expr(0, &text);
        assert!(problems[0].message.contains("too deep"), "{:?}", problems[0]);
        assert_eq!(problems.len(), 1, "{}", &text[..10]);
    }
}
