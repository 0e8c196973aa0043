//! Operations against wider or slower arithmetic, and the SQLite table against its own promises.

use proptest::prelude::*;

use super::number::{decimal_round, float_round, int_round};
use super::sqlite::{AGGREGATES, FUNCTIONS, SqlArg, SqlResult, SumState};
use super::*;
use crate::expr::ArithmeticOp;
use crate::value::{Decimal, Timestamp, Value};

fn call(name: &str, args: &[SqlArg<'_>]) -> Result<SqlResult, OpError> {
    let function = FUNCTIONS.iter().find(|function| function.name == name).unwrap();
    assert!(function.args < 0 || function.args as usize == args.len(), "{name} takes {}", function.args);
    (function.call)(args)
}

fn text(text: &str) -> Result<SqlResult, OpError> {
    Ok(SqlResult::Text(text.to_owned()))
}

const fn int(number: i64) -> Result<SqlResult, OpError> {
    Ok(SqlResult::Int(number))
}

use SqlArg::{Blob, Int, Null, Real, Text};

#[test]
fn every_function_answers_null_to_null() {
    for function in FUNCTIONS {
        let nulls = vec![Null; usize::try_from(function.args).unwrap_or(2)];
        assert_eq!((function.call)(&nulls), Ok(SqlResult::Null), "{}", function.name);
        assert_eq!(
            (function.call)(&vec![Blob(b""); nulls.len() + 1]),
            Err(OpError::Argument),
            "{}",
            function.name
        );
        assert_eq!(FUNCTIONS.iter().filter(|other| other.name == function.name).count(), 1);
    }
}

#[test]
fn results_outside_their_range_are_errors() {
    let overflow = |operation| Err(OpError::Overflow { operation });
    assert_eq!(call("ms_add", &[Int(i64::MAX), Int(1)]), overflow("addition"));
    assert_eq!(call("ms_div", &[Int(i64::MIN), Int(-1)]), overflow("division"));
    assert_eq!(call("ms_rem", &[Int(i64::MIN), Int(-1)]), int(0));
    assert_eq!(call("ms_div", &[Int(7), Int(0)]), Ok(SqlResult::Null));
    assert_eq!(call("ms_rem", &[Real(7.0), Real(0.0)]), Ok(SqlResult::Null));
    assert_eq!(call("ms_div", &[Int(-7), Int(2)]), int(-3));
    assert_eq!(call("ms_rem", &[Int(-7), Int(2)]), int(-1));
    assert_eq!(call("ms_neg", &[Int(i64::MIN)]), overflow("negation"));
    assert_eq!(call("ms_abs", &[Int(i64::MIN)]), overflow("abs"));
    assert_eq!(call("ms_mul", &[Real(1e200), Real(1e200)]), overflow("multiplication"));
    assert_eq!(call("ms_dec_add", &[Int(Decimal::MANTISSA_LIMIT - 1), Int(1)]), overflow("addition"));
    assert_eq!(call("ms_dec_rescale", &[Int(i64::MAX), Int(0), Int(2)]), overflow("a conversion to decimal"));
    assert_eq!(call("ms_ts_add", &[Text("9999-12-31T23:59:59.999999Z"), Int(1)]), overflow("addition"));
    assert_eq!(call("ms_date_back", &[Text("0001-01-01"), Int(86_400_000_000)]), overflow("subtraction"));
    assert_eq!(call("ms_float_text", &[Real(f64::INFINITY)]), overflow("a float"));
    assert_eq!(call("ms_add", &[Int(1), Real(1.0)]), Err(OpError::Argument));
    assert!(OpError::overflow("addition").to_string().starts_with(OVERFLOW));
}

#[test]
fn decimals_in_sql_are_mantissas() {
    assert_eq!(call("ms_dec_mul", &[Int(150), Int(2), Int(3), Int(0), Int(2)]), int(450));
    assert_eq!(call("ms_dec_div", &[Int(10), Int(0), Int(3), Int(0), Int(6)]), int(3_333_333));
    assert_eq!(call("ms_dec_div", &[Int(10), Int(0), Int(0), Int(2), Int(6)]), Ok(SqlResult::Null));
    assert_eq!(call("ms_dec_rem", &[Int(-750), Int(200)]), int(-150));
    assert_eq!(call("ms_dec_rescale", &[Int(-25), Int(1), Int(0)]), int(-3));
    assert_eq!(call("ms_dec_round", &[Int(12_345), Int(2), Int(1), Int(2)]), int(12_350));
    assert_eq!(call("ms_dec_round", &[Int(15_000), Int(2), Int(-2), Int(2)]), int(20_000));
    assert_eq!(call("ms_dec_text", &[Int(-5), Int(2)]), text("-0.05"));
    assert_eq!(call("ms_dec_real", &[Int(11), Int(1)]), Ok(SqlResult::Real(1.1)));
}

#[test]
fn texts_in_sql() {
    assert_eq!(call("ms_contains", &[Text("Bar ÄÖ One"), Text("äö")]), int(0));
    assert_eq!(call("ms_contains", &[Text("Bar ÄÖ One"), Text("bAR Ä")]), int(1));
    assert_eq!(call("ms_contains", &[Text(""), Text("")]), int(1));
    assert_eq!(call("ms_starts", &[Text("Bar"), Text("b")]), int(0));
    assert_eq!(call("ms_ends", &[Text("Bar"), Text("ar")]), int(1));
    assert_eq!(call("ms_lower", &[Text("ÄBc")]), text("Äbc"));
    assert_eq!(call("ms_upper", &[Text("äbC")]), text("äBC"));
    assert_eq!(call("ms_trim", &[Text("\u{b}\t a\u{a0} \r\n\u{c}")]), text("a\u{a0}"));
    assert_eq!(call("ms_length", &[Text("a😀")]), int(2));
    assert_eq!(call("ms_length", &[Blob("a😀".as_bytes())]), int(5));
}

#[test]
fn times_in_sql() {
    let noon = Text("2026-01-31T12:00:00.000000Z");
    assert_eq!(call("ms_ts_add", &[noon, Int(-1)]), text("2026-01-31T11:59:59.999999Z"));
    assert_eq!(call("ms_ts_back", &[noon, Int(-1)]), text("2026-01-31T12:00:00.000001Z"));
    assert_eq!(call("ms_ts_sub", &[noon, Text("2026-01-30T12:00:00.000000Z")]), int(86_400_000_000));
    assert_eq!(call("ms_date_add", &[Text("2024-02-28"), Int(86_400_000_000 * 2 - 1)]), text("2024-02-29"));
    assert_eq!(call("ms_date_add", &[Text("2024-03-01"), Int(-86_400_000_001)]), text("2024-02-29"));
    assert_eq!(call("ms_date_sub", &[Text("2024-03-01"), Text("2024-02-28")]), int(2 * 86_400_000_000));
    assert_eq!(call("ms_duration_text", &[Int(90_000_000)]), text("PT1M30S"));
}

#[test]
fn json_and_lists_in_sql() {
    let list = Text(r#"["a,b","c\"]",1.5]"#);
    assert_eq!(call("ms_json_path", &[Text(r#"{"a":{"b":"x"}}"#), Text("a"), Text("b")]), text("x"));
    assert_eq!(call("ms_json_path", &[Text(r#"{"a":1}"#), Text("b")]), Ok(SqlResult::Null));
    assert_eq!(call("ms_json_path", &[Null, Text("b")]), Ok(SqlResult::Null));
    assert_eq!(call("ms_list_contains", &[list, Text(r#""c\"]""#)]), int(1));
    assert_eq!(call("ms_list_contains", &[list, Text(r#""a""#)]), int(0));
    assert_eq!(call("ms_list_contains", &[list, Text("null")]), Ok(SqlResult::Null));
    assert_eq!(call("ms_list_length", &[list]), int(3));
    assert_eq!(call("ms_list_length", &[Text("[]")]), int(0));
    assert_eq!(call("ms_list_append", &[Text("[]"), Text("1")]), text("[1]"));
    assert_eq!(call("ms_list_append", &[Text("[1]"), Text("2")]), text("[1,2]"));
    assert_eq!(call("ms_list_remove", &[Text("[1,2,1]"), Text("1")]), text("[2]"));
    assert_eq!(call("ms_list_remove", &[Text("[1]"), Text("1")]), text("[]"));
    assert_eq!(call("ms_base64", &[Blob(&[1, 2, 255])]), text("AQL/"));
    assert_eq!(call("ms_float_text", &[Real(-0.0)]), text("0.0"));
    let Ok(SqlResult::Text(cursor)) = call("ms_cursor", &[Text("a1b2"), Text("[1,\"é\"]")]) else {
        panic!()
    };
    assert_eq!(cursor::decode(&cursor), Some(("a1b2".into(), "[1,\"é\"]".into())));
    assert_eq!(cursor::decode("?"), None);
}

#[test]
fn sums_look_at_their_range_at_the_end() {
    let sum = |name: &str, rows: &[SqlArg<'_>]| {
        let aggregate = AGGREGATES.iter().find(|aggregate| aggregate.name == name).unwrap();
        let mut state = SumState::default();
        rows.iter().try_for_each(|row| (aggregate.step)(&mut state, &[*row]))?;
        (aggregate.finish)(&state)
    };
    assert_eq!(sum("ms_sum_int", &[]), int(0));
    assert_eq!(sum("ms_sum_int", &[Null, Int(2)]), int(2));
    assert_eq!(sum("ms_sum_int", &[Int(i64::MAX), Int(1), Int(-1)]), int(i64::MAX));
    assert_eq!(sum("ms_sum_int", &[Int(i64::MAX), Int(1)]), Err(OpError::overflow("a sum")));
    let limit = Decimal::MANTISSA_LIMIT;
    assert_eq!(sum("ms_sum_dec", &[Int(limit - 1), Int(1)]), Err(OpError::overflow("a sum")));
    assert_eq!(sum("ms_sum_dec", &[Int(1 - limit), Int(limit - 1)]), int(0));
    assert_eq!(sum("ms_sum_int", &[Text("1")]), Err(OpError::Argument));
}

#[test]
fn rounding_is_half_away_from_zero() {
    for (number, digits, expect) in [
        (2.5, 0, 3.0),
        (-2.5, 0, -3.0),
        (1.25, 1, 1.3),
        (1250.0, -2, 1300.0),
        (-0.4, 0, 0.0),
        (1.5, 400, 1.5),
        (1.5, -400, 0.0),
        (1e300, 20, 1e300),
        (5e-324, 323, 5e-324),
    ] {
        let rounded = float_round(number, digits).unwrap();
        assert_eq!(
            (rounded, rounded.is_sign_negative()),
            (expect, expect < 0.0),
            "round({number}, {digits})"
        );
    }
    assert!(float_round(1.7e308, -308).is_err());
    assert_eq!(int_round(-1250, -2), Ok(-1300));
    assert_eq!(int_round(i64::MAX, -19), Err(OpError::overflow("round")));
    assert_eq!(int_round(i64::MAX, -20), Ok(0));
    let decimal = |text| Decimal::parse(text).unwrap();
    for (number, digits, expect) in [
        ("1.245", 2, "1.250"),
        ("-50", -2, "-100"),
        ("49.999", -2, "0.000"),
        ("1.2", 99, "1.2"),
        ("1.2", 1, "1.2"),
    ] {
        let number = decimal(number);
        assert_eq!(decimal_round(number, digits, number.scale).unwrap().to_string(), expect);
    }
}

/// What `like` costs at most, whoever writes text and pattern: counted, for time says nothing on a busy machine.
#[test]
fn like_takes_a_bounded_number_of_steps_for_each_character_of_the_text() {
    let text = "a".repeat(100_000);
    for pattern in [
        format!("%{}_b%", "a".repeat(60)),
        format!("%{}_b%", "a".repeat(990)),
        format!("%{}b%", "_a".repeat(495)),
        format!("%{}%b", "_a%".repeat(330)),
        format!("{}b", "%_".repeat(499)),
        "%a_".repeat(300) + "b%",
        format!("%{}b%", "a".repeat(90_000)),
    ] {
        let mut steps = text::Steps::default();
        assert_eq!(text::like_in_steps(&text, &pattern, &mut steps), Ok(false), "{pattern:.40}");
        assert!(steps.0 <= 64 * text.len() as u64, "{pattern:.40}: {} steps", steps.0);
    }
    // Beyond that a pattern is refused before the text is looked at; an escaped `_` is no wildcard.
    let long = "a".repeat(text::WILD_PATTERN_MAX);
    assert_eq!(text::like("", &format!("{long}_")), Err(OpError::PatternTooLong));
    assert_eq!(text::like("", &format!("{long}\\_")), Ok(false));
    assert_eq!(text::like(&format!("{long}_"), &format!("{long}\\_")), Ok(true));
    assert_eq!(
        text::like(&format!("{}b", &long[1..]), &format!("{}_b", &long[2..])),
        Ok(true),
        "as long as it may be"
    );
}

/// Every way to spend the pattern, tried one after the other.
fn naive_like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skip| naive_like(&text[skip..], rest)),
        ['_', rest @ ..] => !text.is_empty() && naive_like(&text[1..], rest),
        ['\\', escaped, rest @ ..] => text.first() == Some(escaped) && naive_like(&text[1..], rest),
        [wanted, rest @ ..] => text.first() == Some(wanted) && naive_like(&text[1..], rest),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn like_agrees_with_a_naive_matcher(given in "[ab%_\\\\é]{0,8}", pattern in "[ab%_\\\\é]{0,7}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let expect = naive_like(&chars(&given), &chars(&pattern));
        prop_assert_eq!(text::like(&given, &pattern), Ok(expect));
        prop_assert_eq!(text::like_by_pieces(&given, &pattern, &mut text::Steps::default()), expect);
    }

    #[test]
    fn like_finds_long_pieces_as_a_naive_matcher_does(
        at in 0..200usize, length in 1..200usize, wild in proptest::collection::vec(any::<proptest::sample::Index>(), 1..5),
        broken in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        // Never the same character at two places that are near, so that one place alone can match.
        let text: Vec<char> = (0..500u32).filter_map(|n| char::from_u32(0x4e00 + n)).collect();
        let mut piece = text[at..at + length].to_vec();
        if let Some(broken) = broken {
            piece[broken.index(length)] = 'x';
        }
        let is_there = broken.is_none() || wild.iter().any(|wild| Some(wild.index(length)) == broken.map(|at| at.index(length)));
        for wild in &wild {
            piece[wild.index(length)] = '_';
        }
        let pattern = format!("%{}%", piece.into_iter().collect::<String>());
        let text: String = text.into_iter().collect();
        prop_assert_eq!(text::like_by_pieces(&text, &pattern, &mut text::Steps::default()), is_there);
    }

    #[test]
    fn contains_agrees_with_lower_case(given in "[abABéÉ]{0,8}", needle in "[abABéÉ]{0,3}") {
        let lower = |text: &str| text::lower(text).into_owned();
        prop_assert_eq!(text::contains(&given, &needle), lower(&given).contains(&lower(&needle)));
        let (given, needle) = (given.repeat(40), needle.repeat(39));
        prop_assert_eq!(text::contains(&given, &needle), lower(&given).contains(&lower(&needle)));
    }

    #[test]
    fn ints_agree_with_wide_arithmetic(a in any::<i64>(), b in prop_oneof![any::<i64>(), -3i64..3]) {
        let (wide_a, wide_b) = (i128::from(a), i128::from(b));
        for (op, wide) in [
            (ArithmeticOp::Add, Some(wide_a + wide_b)),
            (ArithmeticOp::Sub, Some(wide_a - wide_b)),
            (ArithmeticOp::Mul, Some(wide_a * wide_b)),
            (ArithmeticOp::Div, wide_a.checked_div(wide_b)),
            (ArithmeticOp::Rem, wide_a.checked_rem(wide_b)),
        ] {
            let expect = match wide {
                None => Ok(None),
                Some(wide) => i64::try_from(wide).map(Some).map_err(|_| OpError::overflow(number::name(op))),
            };
            prop_assert_eq!(number::int(op, a, b), expect);
        }
    }

    #[test]
    fn moving_a_timestamp_and_back_is_nothing(at in Timestamp::MIN.0..=Timestamp::MAX.0, by in any::<i64>()) {
        let (at, by) = (Timestamp(at), crate::value::Duration(by));
        match time::timestamp_add(at, by) {
            Ok(moved) => {
                prop_assert_eq!(time::timestamp_sub(moved, at), Ok(by));
                prop_assert_eq!(time::timestamp_back(moved, by), Ok(at));
            }
            Err(_) => prop_assert!(at.0.checked_add(by.0).and_then(Timestamp::from_micros).is_none()),
        }
    }

    #[test]
    fn a_list_holds_what_was_put_in(texts in proptest::collection::vec("[a,\"\\\\\\[\\]é]{0,4}", 0..5), probe in "[a,\"]{0,2}") {
        let value = Value::List(texts.iter().cloned().map(Value::Text).collect());
        let json = value.to_json();
        prop_assert_eq!(list::length(&json), texts.len() as i64);
        prop_assert_eq!(list::contains(&json, &Value::Text(probe.clone()).to_json()), texts.contains(&probe));
    }
}
