//! Bodies and the parts that they become, or the words that refuse them.

use mainstay_lang::reserved::is_reserved;

use super::{keyword, parse, parse_rows};
use crate::part::{Field, Get};

fn refused(body: &[u8]) -> String {
    let error = parse(body).expect_err("should be refused");
    let path = error.errors.first().map_or("-", |field| &field.path);
    format!("{} {path}: {}", error.key.text(), error.detail)
}

#[test]
fn keywords_are_sorted_and_reserved() {
    assert!(keyword::words().is_sorted());
    for word in keyword::words() {
        assert!(is_reserved(word), "{word} could be a column's name");
    }
}

#[test]
fn members_keep_their_order_and_digits() {
    let documents = parse(
        br#" {"B": {"z": 1.000000000000000000001, "get": ["x", "*"], "a": {"y": [1, null]}}, "A": [{}, {"limit": 3}]} "#,
    )
    .unwrap();
    let entries = &documents[0].entries;
    assert_eq!(entries.iter().map(|entry| entry.table.as_str()).collect::<Vec<_>>(), ["B", "A"]);
    let part = &entries[0].parts[0];
    assert_eq!(part.fields[0].1.raw(), "1.000000000000000000001");
    assert_eq!(part.get, Some(vec![Get::Member("x".into(), Vec::new()), Get::All]));
    let nested = part.fields[1].1.part().unwrap().unwrap();
    assert_eq!(nested.path, "/B/a");
    assert!(
        matches!(&nested.fields[0].1, Field::Array(raw, items) if raw.get() == "[1, null]" && items[1].is_null())
    );
    assert_eq!(entries[1].parts[1].path, "/A/1");
    assert_eq!(entries[1].parts[1].limit, Some(3));
}

#[test]
fn an_array_of_documents_runs_in_order() {
    let documents = parse(br#"[{"A": {}}, {"B": [{}]}]"#).unwrap();
    assert_eq!(documents[1].entries[0].parts[0].path, "/1/B/0");
}

#[test]
fn a_json_value_may_hold_what_a_part_may_not() {
    let documents = parse(br#"{"A": {"data": {"limit": "many", "x": {"get": 5}}}}"#).unwrap();
    let field = &documents[0].entries[0].parts[0].fields[0].1;
    assert_eq!(field.raw(), r#"{"limit": "many", "x": {"get": 5}}"#);
    assert_eq!(field.part().unwrap_err().errors[0].path, "/A/data/limit");
}

#[test]
fn forms_that_are_refused() {
    for (body, expected) in [
        (&b""[..], "json.malformed -: the body is empty"),
        (b"{", "json.malformed -: EOF while parsing an object at line 1 column 1"),
        (b"{} {}", "json.malformed -: trailing characters at line 1 column 4"),
        (b"\xff", "json.malformed -: not UTF-8 at byte 0"),
        (
            b"1",
            "query.malformed : a query is an object such as {\"Table\": {\u{2026}}}, or an array of such objects",
        ),
        (br#"{"A": {"x": 1, "x": 2}}"#, "json.malformed /A/x: `x` stands twice in one object"),
        (br#"{"A": {}, "A": {}}"#, "json.malformed /A: `A` stands twice in one object"),
        (br#"{"A": {"get": 5}}"#, "query.malformed /A/get: must be a string or an array of strings"),
        (br#"{"A": {"delete": 1}}"#, "query.malformed /A/delete: must be true or false"),
        (br#"{"A": {"limit": -1}}"#, "query.malformed /A/limit: must be a whole number that is not negative"),
        (
            br#"{"A": {"limit": 9223372036854775808}}"#,
            "query.malformed /A/limit: must be a whole number that is not negative",
        ),
        (br#"{"A": [{}, {"where": []}]}"#, "query.malformed /A/1/where: must be a string"),
        (br#"{"A": {"set": 1}}"#, "query.malformed /A/set: must be an object"),
        (
            br#"{"A": {"aggregate": {}}}"#,
            "query.malformed /A/aggregate: must be an object such as {\"total\": \"sum(price)\"}",
        ),
        (br#"{"A": "x"}"#, "query.malformed /A: must be a part (an object) or an array of parts"),
        (br#"[[]]"#, "query.malformed /0: must be an object such as {\"Table\": {\u{2026}}}"),
        (br#"{"A": {"\ud800": 1}}"#, "json.malformed /A: unexpected end of hex escape at line 1 column 8"),
        (br#"{"A": {"x": 1, "\u0078": 2}}"#, "json.malformed /A/x: `x` stands twice in one object"),
        (br#"{"A": {"\u0078": 1, "x": 2}}"#, "json.malformed /A/x: `x` stands twice in one object"),
        (br#"{"a/b~c": 1}"#, "query.malformed /a~1b~0c: must be a part (an object) or an array of parts"),
    ] {
        assert_eq!(refused(body), expected, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_member_that_stands_twice_is_found_among_many() {
    let members = (0..40).map(|at| format!("\"c{at}\": {at}"));
    for twin in [3, 15, 16, 30] {
        let body = members.clone().chain([format!("\"c{twin}\": 0")]).collect::<Vec<_>>().join(",");
        let expected = format!("json.malformed /A/c{twin}: `c{twin}` stands twice in one object");
        assert_eq!(refused(format!("{{\"A\": {{{body}}}}}").as_bytes()), expected);
    }
    let body = members.collect::<Vec<_>>().join(" ,\n");
    let documents = parse(format!("{{\"A\":\t{{{body}}}}}").as_bytes()).unwrap();
    assert_eq!(documents[0].entries[0].parts[0].fields.len(), 40);
}

#[test]
fn what_is_no_part_ends_where_its_bracket_does() {
    let body = br#"{"A": {"data": {"a": [{"get": {"}": "]\"}"}}, 2], "limit": {"b": []}} , "n": -1.5e3 }}"#;
    let part = &parse(body).unwrap()[0].entries[0].parts[0];
    assert_eq!(part.fields[0].1.raw(), r#"{"a": [{"get": {"}": "]\"}"}}, 2], "limit": {"b": []}}"#);
    assert_eq!(part.fields[0].1.part().unwrap_err().errors[0].path, "/A/data/limit");
    assert_eq!(part.fields[1].1.raw(), "-1.5e3");
}

#[test]
fn bombs_are_refused_quickly() {
    for bracket in ["[", "{\"A\":"] {
        assert!(refused(bracket.repeat(100_000).as_bytes()).contains("nested deeper than 128 levels"));
    }
    let deep = format!("{}{}", "{\"A\":".repeat(100), "1}".to_owned() + &"}".repeat(99));
    let documents = parse(deep.as_bytes()).unwrap();
    assert_eq!(documents.len(), 1, "read lazily: refused where a part is asked for");
}

#[test]
fn rows_hold_no_keywords_of_their_own() {
    let (rows, many) = parse_rows(br#"[{"title": "x", "lines": [{"create": true}]}]"#).unwrap();
    assert!(many);
    assert_eq!(rows[0].path, "/0");
    assert_eq!(parse_rows(br#"{"delete": true}"#).unwrap_err().errors[0].path, "/delete");
    assert!(parse_rows(b"3").is_err());
}
