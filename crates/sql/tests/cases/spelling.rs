//! Values at the edge of every type: stored, read back, compared, and spelled by the database as by the server.

use mainstay_lang::value::Value;
use mainstay_sql::plan::OutputKind;

use crate::harness::{Db, output};

const APP: &str = r#"
table Parent { children Child[] by parent, allow read }
table Child {
  parent Parent
  n int
  f float?
  d decimal(18, 4)?
  t text?
  stamp timestamp?
  day date?
  at time?
  span duration?
  raw bytes?
  list float[] = []
  allow read
}
"#;

/// The same numbers in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to less than `bound`.
    pub(crate) fn below(&mut self, bound: i64) -> i64 {
        (self.next() % bound as u64) as i64
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.next() as usize % from.len()]
    }

    /// Mostly small, sometimes of any size, with either sign.
    pub(crate) fn number(&mut self) -> i64 {
        let number = self.next() as i64;
        number >> (self.next() % 64)
    }

    /// Any bits, powers of ten and two and their neighbours, whole numbers around 2^53.
    pub(crate) fn float(&mut self) -> f64 {
        let bits = f64::from_bits(self.next());
        let near = |number: f64, by: u64| f64::from_bits(number.to_bits().wrapping_add(by).wrapping_sub(2));
        let number = match self.next() % 6 {
            0 => near(format!("1e{}", self.next() as i64 % 309).parse().unwrap(), self.next() % 5),
            1 => near(2f64.powi((self.next() % 2098) as i32 - 1074), self.next() % 5),
            2 => (9_007_199_254_740_992 + self.number() % 100_000) as f64,
            3 => self.number() as f64 / 1000.0,
            4 => (self.number() as f64) * 10f64.powi((self.next() % 24) as i32),
            _ => bits,
        };
        if number.is_finite() { number + 0.0 } else { 0.5 }
    }

    fn text(&mut self) -> String {
        let length = self.next() % 8;
        let choices =
            ['a', 'B', 'é', '"', '\\', '\n', '\u{1}', '\u{1f}', '\u{7f}', '/', '😀', ' ', '\u{2028}'];
        (0..length).map(|_| choices[self.next() as usize % choices.len()]).collect()
    }
}

fn filled(rows: usize) -> Db {
    let db = Db::new(APP);
    let parent = format!("\"{}\"", db.insert("Parent", &[]));
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let text = |text: &str| Value::Text(text.to_owned()).to_json();
    for n in 0..rows {
        let (micros, days) = (dice.next() % 315_537_897_600_000_000, dice.next() % 3_652_059);
        let stamp = mainstay_lang::value::Timestamp(micros as i64 - 62_135_596_800_000_000);
        let day = mainstay_lang::value::Date(days as i32 - 719_162);
        let at = mainstay_lang::value::Time((dice.next() % 86_400_000_000) as i64);
        let span = mainstay_lang::value::Duration(dice.number());
        let decimal =
            mainstay_lang::value::Decimal { mantissa: dice.number() % 1_000_000_000_000_000_000, scale: 4 };
        let raw = Value::Bytes((0..dice.next() % 100).map(|_| dice.next() as u8).collect());
        let float = Value::Float(dice.float()).to_json();
        let list = format!("[{float},{}]", Value::Float(dice.float()).to_json());
        db.insert(
            "Child",
            &[
                ("parent", &parent),
                ("n", &n.to_string()),
                ("f", &float),
                ("d", &text(&decimal.to_string())),
                ("t", &text(&dice.text())),
                ("stamp", &text(&stamp.to_string())),
                ("day", &text(&day.to_string())),
                ("at", &text(&at.to_string())),
                ("span", &text(&span.to_string())),
                ("raw", &raw.to_json()),
                ("list", &list),
            ],
        );
    }
    db
}

const COLUMNS: [&str; 10] = ["n", "f", "d", "t", "stamp", "day", "at", "span", "raw", "list"];

#[test]
fn random_values_are_spelled_the_same_at_every_depth() {
    let db = filled(1500);
    let mut children = db.select("Child", &COLUMNS);
    children.order = vec![db.order("Child", "n")];
    let flat = db.rows(&children);
    let mut parents = db.select("Parent", &[]);
    let relation = db.relation("Parent", "children");
    parents.outputs = vec![output("children", OutputKind::Many { relation, select: Box::new(children) })];
    let nested = db.rows(&parents);
    let nested = nested.strip_prefix("[{\"children\":").and_then(|text| text.strip_suffix("}]")).unwrap();
    for (nested, flat) in nested.split("},{").zip(flat.split("},{")) {
        assert_eq!(nested, flat);
    }
    assert_eq!(nested.len(), flat.len());
}

#[test]
fn a_value_is_found_in_its_list() {
    let db = filled(200);
    let filter = db.filter("Child", "f in list");
    let statement = mainstay_sql::count(&db.schema, db.dialect, db.table("Child"), &[filter]);
    assert_eq!(db.values(&statement, &crate::harness::Run::default()), [[Value::Int(200)]]);
}

/// By code point, whatever the database collates by.
#[test]
fn texts_sort_and_compare_by_code_point() {
    let db = Db::new("table T { t text, u text?, allow read }");
    for t in ["a", "B", "é", "z", "Z", "_", "10", "9", "ÿ", "\u{e000}", "😀", "a b", "ab", "a-b"] {
        db.insert("T", &[("t", &Value::Text(t.to_owned()).to_json())]);
    }
    let mut select = db.select("T", &["t"]);
    let mut check = |order: &str, filter: &str, expect: &str| {
        select.order = vec![db.order("T", order)];
        select.filter = vec![db.filter("T", filter)];
        let text = db.rows(&select);
        let found: Vec<&str> = text.split('"').skip(3).step_by(4).collect();
        assert_eq!(found.join("|"), expect, "{order}, {filter}");
    };
    check("t", "true", "10|9|B|Z|_|a|a b|a-b|ab|z|é|ÿ|\u{e000}|😀");
    check("-concat(t, \"x\")", "true", "😀|\u{e000}|ÿ|é|z|a|ab|a-b|a b|_|Z|B|9|10");
    check("coalesce(u, t)", "lower(t) > \"a\" and t < \"b\"", "B|Z|a b|a-b|ab");
    check("t", "(if t == \"a\" then \"_\" else \"Z\") < \"_\" and t >= \"z\"", "z|é|ÿ|\u{e000}|😀");
    check("t", "\"Z\" < concat(t, \"\") and concat(t, \"\") < \"b\"", "_|a|a b|a-b|ab");
    check("t", "upper(t) == \"É\" or upper(t) == \"é\"", "é");
    check("t", "t ~ \"É\"", "");
}
