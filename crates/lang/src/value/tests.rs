//! Round trips of every text form, and the refusals that the wire promises.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::types::{EnumType, Type};

const MONEY: Type = Type::Decimal { precision: 18, scale: 2 };
const TEXT: Type = Type::Text { max: None };

fn role() -> Type {
    Type::Enum(Arc::new(EnumType { values: vec!["bar".into(), "security".into(), "log".into()] }))
}

fn list_of(ty: Type) -> Type {
    Type::List(Arc::new(ty))
}

#[track_caller]
fn check_json(ty: &Type, raw: &str, expect: &str) {
    match Value::from_json(raw, ty) {
        Ok(value) => assert_eq!(value.to_json(), expect, "{raw} as {ty}"),
        Err(error) => assert_eq!(format!("{}: {error}", error.kind.key()), expect, "{raw} as {ty}"),
    }
}

#[test]
fn ints_are_whole_and_of_64_bits() {
    check_json(&Type::Int, "-9223372036854775808", "-9223372036854775808");
    check_json(&Type::Int, "9223372036854775807", "9223372036854775807");
    let range = "range: must be between -9223372036854775808 and 9223372036854775807";
    check_json(&Type::Int, "9223372036854775808", range);
    let whole = "type: must be a whole number, without point or exponent";
    check_json(&Type::Int, "1.0", whole);
    check_json(&Type::Int, "1e3", whole);
    check_json(&Type::Int, "\"1\"", "type: must be a whole number, not a string");
    check_json(&Type::Int, "true", "type: must be a whole number, not a truth value");
    check_json(&Type::Int, "-0", "0");
    check_json(&Type::Int, "null", "null");
}

#[test]
fn decimals_keep_every_digit_or_refuse() {
    check_json(&MONEY, "1000.5", "\"1000.50\"");
    check_json(&MONEY, "\"1000.50\"", "\"1000.50\"");
    check_json(&MONEY, "\"-0.01\"", "\"-0.01\"");
    check_json(&MONEY, "1.500", "\"1.50\"");
    check_json(&MONEY, "1e3", "\"1000.00\"");
    check_json(&MONEY, "15E-1", "\"1.50\"");
    check_json(&MONEY, "9999999999999999.99", "\"9999999999999999.99\"");
    check_json(&MONEY, "1.005", "scale: must not have more than 2 digits after the point");
    check_json(&MONEY, "10000000000000000", "range: must not have more than 16 digits before the point");
    check_json(&MONEY, "1e400", "range: must not have more than 16 digits before the point");
    check_json(&MONEY, "1e-400", "scale: must not have more than 2 digits after the point");
    check_json(&MONEY, "0e-400", "\"0.00\"");
    check_json(&MONEY, "1e99999999999", "format: must be a decimal number such as 1000.50");
    check_json(&MONEY, "\"1e3\"", "format: must be a decimal number such as 1000.50");
    check_json(&MONEY, "\"\"", "format: must be a decimal number such as 1000.50");
    check_json(&MONEY, "\".5\"", "format: must be a decimal number such as 1000.50");
    let narrow = Type::Decimal { precision: 3, scale: 1 };
    check_json(&narrow, "99.9", "\"99.9\"");
    check_json(&narrow, "100", "range: must not have more than 2 digits before the point");
    let many_digits = format!("0.{}1", "0".repeat(5000));
    check_json(&MONEY, &many_digits, "scale: must not have more than 2 digits after the point");
}

#[test]
fn floats_are_finite_and_shortest() {
    check_json(&Type::Float, "1", "1.0");
    check_json(&Type::Float, "0.1", "0.1");
    check_json(&Type::Float, "-0.0", "0.0");
    check_json(&Type::Float, "5e-324", "5e-324");
    check_json(&Type::Float, "1.7976931348623157e308", "1.7976931348623157e+308");
    check_json(&Type::Float, "1e309", "range: is too large for a float");
    check_json(&Type::Float, "\"1.5\"", "type: must be a number, not a string");
}

#[test]
fn texts_are_unicode_without_nul() {
    check_json(&TEXT, r#""a\u00e9\n\"\ud83d\ude00""#, "\"aé\\n\\\"😀\"");
    check_json(&TEXT, r#""a\u0000""#, "nul: must not contain the character U+0000");
    check_json(&TEXT, r#""\ud83d""#, "format: must be valid Unicode");
    check_json(&TEXT, "1", "type: must be a string, not a number");
    check_json(&role(), "\"bar\"", "\"bar\"");
    let unknown = "enum: must be one of bar, security, log; did you mean \"security\"?";
    check_json(&role(), "\"securty\"", unknown);
    check_json(&role(), "\"Bar\"", "enum: must be one of bar, security, log; did you mean \"bar\"?");
    check_json(&role(), "\"kitchen\"", "enum: must be one of bar, security, log");
    assert_eq!(Value::Text("äöü".into()).check_length(&Type::Text { max: Some(3) }), Ok(()));
    let too_long = Value::Text("äöüß".into()).check_length(&Type::Text { max: Some(3) });
    assert_eq!(too_long.unwrap_err().to_string(), "must not be longer than 3 characters");
}

#[test]
fn times_are_read_with_offsets_and_refused_when_finer_than_micros() {
    check_json(&Type::Timestamp, "\"2026-01-31T11:00:00.5+01:00\"", "\"2026-01-31T10:00:00.500000Z\"");
    check_json(&Type::Timestamp, "\"2026-02-28t23:30:00-00:30\"", "\"2026-03-01T00:00:00.000000Z\"");
    check_json(&Type::Timestamp, "\"0001-01-01T00:00:00Z\"", "\"0001-01-01T00:00:00.000000Z\"");
    check_json(&Type::Timestamp, "\"9999-12-31T23:59:59.999999Z\"", "\"9999-12-31T23:59:59.999999Z\"");
    for refused in [
        "2026-01-31T10:00:00",
        "2026-01-31T10:00:00.1234567Z",
        "2026-01-31T10:00:60Z",
        "2026-01-31T24:00:00Z",
        "2026-02-29T10:00:00Z",
        "2026-01-31",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00Z",
        "2026-01-31T10:00:00Zx",
        "2026-1-31T10:00:00Z",
        "",
        "2026-01-31T10:00:00.Z",
    ] {
        assert_eq!(Timestamp::parse(refused), None, "{refused}");
    }
    check_json(&Type::Date, "\"2024-02-29\"", "\"2024-02-29\"");
    for refused in ["2100-02-29", "2026-00-01", "2026-13-01", "0000-01-01", "2026-01-31 ", "20260131"] {
        assert_eq!(Date::parse(refused), None, "{refused}");
    }
    check_json(&Type::Time, "\"10:00\"", "\"10:00:00.000000\"");
    check_json(&Type::Time, "\"23:59:59.999999\"", "\"23:59:59.999999\"");
    assert_eq!(Time::parse("24:00:00"), None);
    assert_eq!(Time::parse("10:00:00.0000001"), None);
}

#[test]
fn durations_are_iso_8601_without_years_and_months() {
    for (text, expect) in [
        ("P1DT2H3M4.5S", "P1DT2H3M4.5S"),
        ("PT0S", "PT0S"),
        ("-PT1H", "-PT1H"),
        ("P2W", "P14D"),
        ("PT90M", "PT1H30M"),
        ("PT0.000001S", "PT0.000001S"),
        ("PT36H", "P1DT12H"),
        ("-PT9223372036854.775808S", "-P106751991DT4H54.775808S"),
    ] {
        assert_eq!(Duration::parse(text).map(|d| d.to_string()).as_deref(), Some(expect), "{text}");
    }
    for refused in [
        "P",
        "PT",
        "P1Y",
        "P1M",
        "P1DT",
        "1D",
        "PT1.5H",
        "PT1S1M",
        "PT1H1H",
        "P1H",
        "PT1D",
        "PT1.1234567S",
        "PT9223372036854.775808S",
        "PT-1H",
        "PT99999999999999999999S",
        "",
        "-",
        "PT1",
        "PT.5S",
    ] {
        assert_eq!(Duration::parse(refused), None, "{refused}");
    }
}

#[test]
fn json_is_minified_and_otherwise_as_written() {
    let written = "{ \"b\" : 1.00e+2 ,\n \"a\":[ true , null, \"x \\u0041 y\" ], \"\":{ } }";
    check_json(&Type::Json, written, "{\"b\":1.00e+2,\"a\":[true,null,\"x \\u0041 y\"],\"\":{}}");
    check_json(&Type::Json, "\" a \"", "\" a \"");
    let twice = "format: must not name a member of an object twice";
    check_json(&Type::Json, "{\"a\":1,\"\\u0061\":2}", twice);
    check_json(
        &Type::Json,
        "{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}]}",
        "{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}]}",
    );
    check_json(&Type::Json, "[\"a\\u0000\"]", "nul: must not contain the character U+0000");
    check_json(&Type::Json, "[\"\\udc00\"]", "format: must be valid Unicode");
    check_json(&Type::Json, "{\"a\":1", "format: must be a JSON value");
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    check_json(&Type::Json, &nested(100), &nested(100));
    check_json(&Type::Json, &nested(101), "range: must not be nested deeper than 100 levels");
}

#[test]
fn a_path_leads_to_a_scalar_or_nowhere() {
    let json = r#"{"a":{"b":"x\u0041","n":1.50,"t":true,"z":null,"l":[1]},"\u0063":7}"#;
    let at = |path: &[&str]| json::scalar_at(json, path).map(String::from);
    assert_eq!(at(&["a", "b"]).as_deref(), Some("xA"));
    assert_eq!(at(&["a", "n"]).as_deref(), Some("1.50"));
    assert_eq!(at(&["a", "t"]).as_deref(), Some("true"));
    assert_eq!(at(&["c"]).as_deref(), Some("7"));
    for nowhere in [&["a"][..], &["a", "z"], &["a", "l"], &["a", "q"], &["a", "b", "c"], &["q", "a"]] {
        assert_eq!(at(nowhere), None, "{nowhere:?}");
    }
}

#[test]
fn lists_hold_scalars_and_no_nulls() {
    check_json(&list_of(TEXT), "[ \"a\" , \"b\" ]", "[\"a\",\"b\"]");
    check_json(&list_of(Type::Int), "[]", "[]");
    check_json(
        &list_of(Type::Int),
        "[1,2.5]",
        "type: item 2: must be a whole number, without point or exponent",
    );
    check_json(&list_of(Type::Int), "[null]", "type: item 1: must be a value, not null");
    check_json(&list_of(Type::Int), "1", "type: must be an array, not a number");
    check_json(&list_of(MONEY), "[1]", "[\"1.00\"]");
}

#[test]
fn the_rest_of_the_types() {
    let upper = "\"0192E4A0-7B1C-7D2E-8F3A-4B5C6D7E8F90\"";
    check_json(&Type::Uuid, upper, &upper.to_lowercase());
    let no_uuid = "format: must be a UUID such as 0192e4a0-7b1c-7d2e-8f3a-4b5c6d7e8f90";
    check_json(&Type::Uuid, "\"0192e4a07b1c7d2e8f3a4b5c6d7e8f90\"", no_uuid);
    check_json(&Type::Bytes, "\"AQL/\"", "\"AQL/\"");
    check_json(&Type::Bytes, "\"AQI\"", "format: must be base64 with its padding");
    check_json(&Type::Bool, "true", "true");
    check_json(&Type::Bool, "1", "type: must be true or false, not a number");
    check_json(&Type::Bool, "\"true\"", "type: must be true or false, not a string");
    check_json(&Type::Date, "{}", "type: must be a date as a string, not an object");
}

#[test]
fn decimals_show_all_digits_of_their_scale() {
    let check = |mantissa: i64, scale: u8, expect: &str| {
        assert_eq!(Decimal { mantissa, scale }.to_string(), expect);
    };
    check(0, 0, "0");
    check(0, 2, "0.00");
    check(-1, 2, "-0.01");
    check(100_050, 2, "1000.50");
    check(-120, 0, "-120");
    check(1, 18, "0.000000000000000001");
    check(-999_999_999_999_999_999, 18, "-0.999999999999999999");
    check(i64::MIN, 18, "-9.223372036854775808");
    check(i64::MIN, 0, "-9223372036854775808");
}

#[test]
fn decimals_round_half_away_from_zero() {
    let rescaled = |text: &str, scale| Decimal::parse(text).unwrap().rescale(scale).map(|d| d.to_string());
    assert_eq!(rescaled("2.5", 0).as_deref(), Some("3"));
    assert_eq!(rescaled("-2.5", 0).as_deref(), Some("-3"));
    assert_eq!(rescaled("2.49", 0).as_deref(), Some("2"));
    assert_eq!(rescaled("-0.005", 2).as_deref(), Some("-0.01"));
    assert_eq!(rescaled("999999999999999999", 1), None);
    let ten = Decimal::parse("10").unwrap();
    let three = Decimal::parse("3").unwrap();
    assert_eq!(ten.checked_div(three, 6).unwrap().to_string(), "3.333333");
    assert_eq!(ten.checked_div(Decimal::parse("0.00").unwrap(), 6), None);
    let tiny = Decimal::parse("0.000000000000000001").unwrap();
    let huge = Decimal::parse("999999999999999999").unwrap();
    assert_eq!(huge.checked_div(tiny, 18), None);
    assert_eq!(tiny.checked_div(huge, 18).unwrap().mantissa, 0);
    assert_eq!(huge.checked_add(three), None);
    assert_eq!(huge.checked_mul(huge, 0), None);
}

fn any_decimal() -> impl Strategy<Value = Decimal> {
    let limit = Decimal::MANTISSA_LIMIT;
    let mantissa = prop_oneof![1 - limit..limit, -1000i64..1000, Just(limit - 1), Just(1 - limit)];
    (mantissa, 0u8..=18).prop_map(|(mantissa, scale)| Decimal { mantissa, scale })
}

fn any_value() -> impl Strategy<Value = (Type, Value)> {
    let extreme = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(0)];
    let timestamp =
        prop_oneof![Timestamp::MIN.0..=Timestamp::MAX.0, Just(Timestamp::MIN.0), Just(Timestamp::MAX.0)];
    let float = any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(|f| f + 0.0);
    let text = any::<String>().prop_filter("no nul", |text| !text.contains('\0'));
    prop_oneof![
        any::<bool>().prop_map(|v| (Type::Bool, Value::Bool(v))),
        extreme.clone().prop_map(|v| (Type::Int, Value::Int(v))),
        float.prop_map(|v| (Type::Float, Value::Float(v))),
        any_decimal().prop_map(|v| (Type::Decimal { precision: 18, scale: v.scale }, Value::Decimal(v))),
        text.clone().prop_map(|v| (TEXT, Value::Text(v))),
        text.prop_map(|v| (Type::Json, Value::Json(serde_json::to_string(&v).unwrap()))),
        any::<u128>().prop_map(|v| (Type::Uuid, Value::Uuid(Uuid::from_u128(v)))),
        (Date::MIN.0..=Date::MAX.0).prop_map(|v| (Type::Date, Value::Date(Date(v)))),
        (0..=Time::MAX.0).prop_map(|v| (Type::Time, Value::Time(Time(v)))),
        timestamp.prop_map(|v| (Type::Timestamp, Value::Timestamp(Timestamp(v)))),
        extreme.prop_map(|v| (Type::Duration, Value::Duration(Duration(v)))),
        any::<Vec<u8>>().prop_map(|v| (Type::Bytes, Value::Bytes(v))),
        any::<Vec<i64>>()
            .prop_map(|v| (list_of(Type::Int), Value::List(v.into_iter().map(Value::Int).collect()))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_written_is_read_again((ty, value) in any_value()) {
        let json = value.to_json();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
        prop_assert_eq!(&Value::from_json(&json, &ty).unwrap(), &value);
        prop_assert_eq!(&Value::parse_text(&value.to_string(), &ty).unwrap(), &value);
        prop_assert_eq!(value.compare(&value), Some(std::cmp::Ordering::Equal));
    }

    #[test]
    fn times_sort_as_their_texts(a in Timestamp::MIN.0..=Timestamp::MAX.0, b in Timestamp::MIN.0..=Timestamp::MAX.0) {
        let (a, b) = (Timestamp(a), Timestamp(b));
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        prop_assert_eq!(a.date().cmp(&b.date()), a.date().to_string().cmp(&b.date().to_string()));
    }

    #[test]
    fn the_calendar_is_that_of_jiff(micros in Timestamp::MIN.0..=Timestamp::MAX.0) {
        // jiff keeps a day of room at both ends of its own range.
        if let Ok(theirs) = jiff::Timestamp::from_microsecond(micros) {
            let theirs = theirs.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
            prop_assert_eq!(Timestamp(micros).to_string(), theirs);
        }
    }

    #[test]
    fn decimals_agree_with_wide_integers(a in any_decimal(), b in any_decimal()) {
        let scale = a.scale.max(b.scale);
        let wide = |d: Decimal| i128::from(d.mantissa) * 10i128.pow((scale - d.scale).into());
        prop_assert_eq!(a.checked_add(b), Decimal::new(wide(a) + wide(b), scale));
        prop_assert_eq!(a.checked_sub(b), Decimal::new(wide(a) - wide(b), scale));
        prop_assert_eq!(a.cmp(&b), wide(a).cmp(&wide(b)));
        if b.mantissa != 0 {
            prop_assert_eq!(a.checked_rem(b), Decimal::new(wide(a) % wide(b), scale));
        }
        if a.scale + b.scale <= 18 {
            let product = i128::from(a.mantissa) * i128::from(b.mantissa);
            prop_assert_eq!(a.checked_mul(b, a.scale + b.scale), Decimal::new(product, a.scale + b.scale));
        }
    }

    #[test]
    fn a_quotient_is_within_half_a_digit(a in any_decimal(), b in -1_000_000i64..1_000_000, scale in 0u8..=6) {
        prop_assume!(b != 0);
        let divisor = Decimal { mantissa: b, scale };
        if let Some(quotient) = a.checked_div(divisor, 6) {
            // 2·|q·b − a| ≤ |b| in units of the quotient's last digit, all brought to scale 24 + 6.
            let wide = |mantissa: i128, from: u32| mantissa.checked_mul(10i128.pow(24 - from));
            let product = i128::from(quotient.mantissa) * i128::from(b);
            let off = wide(product, 6 + u32::from(scale)).zip(wide(a.mantissa.into(), a.scale.into()));
            if let Some((product, dividend)) = off {
                let unit = 10i128.pow(24 - 6 - u32::from(scale)) * i128::from(b).abs();
                prop_assert!(2 * (product - dividend).abs() <= unit);
            }
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "[-+0-9eE.:TZPYMWDHS \"\\[\\]{},\\\\u]{0,40}", (ty, _) in any_value()) {
        let _ = Value::parse_text(&text, &ty);
        if serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok() {
            let _ = Value::from_json(&text, &ty);
        }
        let _ = Decimal::parse_number(&text);
    }
}
