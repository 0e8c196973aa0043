//! Writes random expressions as an author or a caller would write them: as text, for the real parser and checker.
//!
//! Typed along the schema, so that nearly everything is accepted; what the checker still refuses is left out by
//! whoever asked. Literals have few values, so that equality happens, and the extremes of each type.

use mainstay_lang::schema::{Column, Schema, TableId};
use mainstay_lang::types::Type;

use crate::dice::Dice;
use crate::phrase::{Phrase, Piece, kind};

/// What an expression may speak of.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// `old.` and `new.`
    pub images: bool,
    /// An author's expression names secret columns and follows relations from `user`; a caller's does not.
    pub trusted: bool,
    /// Arithmetic and extremes, which may overflow.
    pub extremes: bool,
}

/// A writer of expressions about the rows of one table.
#[derive(Debug)]
pub struct Author<'a> {
    schema: &'a Schema,
    dice: &'a mut Dice,
    place: Place,
    scopes: Vec<TableId>,
}

/// Keys of rows are made of small numbers.
pub fn key_text(number: usize) -> String {
    format!("00000000-0000-7000-8000-{number:012}")
}

impl<'a> Author<'a> {
    /// A writer for a place.
    pub fn new(schema: &'a Schema, dice: &'a mut Dice, table: TableId, place: Place) -> Author<'a> {
        Author { schema, dice, place, scopes: vec![table] }
    }

    /// A condition.
    pub fn condition(&mut self, depth: usize) -> Phrase {
        self.bool(depth)
    }

    /// A value of a column's kind; `None` when nothing of that kind came to mind.
    pub fn value(&mut self, kind: &Type, depth: usize) -> Option<Phrase> {
        if depth == 0 || self.dice.one_in(3) {
            return self.leaf(kind);
        }
        let depth = depth - 1;
        match self.dice.below(8) {
            0 => {
                let items = [self.value(kind, depth)?, self.value(kind, depth)?];
                Some(if self.dice.one_in(2) {
                    self.join(kind, "coalesce(", ", ", items, ")")
                } else {
                    self.join(kind, "(", " ?? ", items, ")")
                })
            }
            1 => {
                let pieces = vec![
                    Piece::Text("(if ".into()),
                    Piece::Phrase(self.bool(depth)),
                    Piece::Text(" then ".into()),
                    Piece::Phrase(self.value(kind, depth)?),
                    Piece::Text(" else ".into()),
                    Piece::Phrase(self.value(kind, depth)?),
                    Piece::Text(")".into()),
                ];
                Some(self.phrase(kind, pieces))
            }
            2 => self.leaf(kind),
            _ => self.special(kind, depth),
        }
    }

    /// The kind of some column of the innermost row.
    pub fn some_kind(&mut self) -> Type {
        let columns = &self.schema.table(self.table()).columns;
        if self.dice.one_in(2) {
            // Relations are what rules are mostly about.
            let refs: Vec<&Column> = columns.iter().filter(|column| column.target().is_some()).collect();
            if !refs.is_empty() {
                return self.dice.pick(&refs).ty.clone();
            }
        }
        kind(&self.dice.pick(columns).ty)
    }

    fn table(&self) -> TableId {
        *self.scopes.last().expect("an expression stands in a row's scope")
    }

    fn phrase(&self, kind: &Type, pieces: Vec<Piece>) -> Phrase {
        Phrase { kind: kind.clone(), depth: self.scopes.len() - 1, pieces }
    }

    fn word(&self, kind: &Type, text: impl Into<String>) -> Phrase {
        Phrase::word(kind, self.scopes.len() - 1, text)
    }

    fn join(
        &self,
        kind: &Type,
        before: &str,
        between: &str,
        items: impl IntoIterator<Item = Phrase>,
        behind: &str,
    ) -> Phrase {
        let mut pieces = vec![Piece::Text(before.to_owned())];
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                pieces.push(Piece::Text(between.to_owned()));
            }
            pieces.push(Piece::Phrase(item));
        }
        pieces.push(Piece::Text(behind.to_owned()));
        self.phrase(kind, pieces)
    }

    fn leaf(&mut self, kind: &Type) -> Option<Phrase> {
        if !self.dice.one_in(4) {
            for _ in 0..3 {
                if let Some(path) = self.path_to(kind) {
                    return Some(self.word(kind, path));
                }
            }
        }
        let text = self.literal(kind)?;
        Some(self.word(kind, text))
    }

    /// A start and to-one relations followed from there.
    fn way(&mut self) -> (String, TableId) {
        let user = self.schema.user_table().map(|table| table.id);
        let mut options = vec![(String::new(), self.table()); 4];
        if let [.., outer, _] = self.scopes.as_slice() {
            options.extend(vec![("this.".to_owned(), *outer); 2]);
        }
        if self.place.images {
            options.extend(["old.", "new."].map(|word| (word.to_owned(), self.scopes[0])));
        }
        options.extend(user.map(|user| ("user.".to_owned(), user)));
        let (mut text, mut table) = self.dice.pick(&options).clone();
        let follows = self.place.trusted || !text.starts_with("user");
        for _ in 0..2 {
            if follows && self.dice.one_in(4) {
                let hops: Vec<&Column> = self.columns(table).filter(|c| c.target().is_some()).collect();
                if hops.is_empty() {
                    break;
                }
                let hop = *self.dice.pick(&hops);
                text = format!("{text}{}.", hop.name);
                table = hop.target().expect("only relations were collected");
            }
        }
        (text, table)
    }

    fn columns(&self, table: TableId) -> impl Iterator<Item = &'a Column> + use<'a> {
        let trusted = self.place.trusted;
        self.schema.table(table).columns.iter().filter(move |column| trusted || !column.secret)
    }

    /// A value of the caller's row: what most rules compare with, and what a caller may perhaps not read.
    fn own_value(&mut self, wanted: &Type) -> Option<Phrase> {
        let user = self.schema.user_table()?;
        let fits: Vec<&Column> = self.columns(user.id).filter(|column| kind(&column.ty) == *wanted).collect();
        if fits.is_empty() {
            return None;
        }
        let text = format!("user.{}", self.dice.pick(&fits).name);
        Some(self.word(wanted, text))
    }

    fn path_to(&mut self, wanted: &Type) -> Option<String> {
        let (text, table) = self.way();
        let fits: Vec<&Column> = self.columns(table).filter(|column| kind(&column.ty) == *wanted).collect();
        let is_row = *wanted == Type::Ref(table) && !text.is_empty();
        if is_row && (fits.is_empty() || self.dice.one_in(2)) && text != "this." {
            return Some(text.trim_end_matches('.').to_owned()).filter(|text| text != "old" && text != "new");
        }
        if fits.is_empty() {
            return None;
        }
        Some(format!("{text}{}", self.dice.pick(&fits).name))
    }

    fn literal(&mut self, kind: &Type) -> Option<String> {
        let few = |dice: &mut Dice, texts: &[&str]| Some((*dice.pick(texts)).to_owned());
        let extremes = self.place.extremes;
        let wide = |dice: &mut Dice, usual: &[&str], extreme: &[&str]| {
            let from = if extremes && dice.one_in(4) { extreme } else { usual };
            Some((*dice.pick(from)).to_owned())
        };
        match kind {
            Type::Bool => few(self.dice, &["true", "false"]),
            Type::Int => wide(
                self.dice,
                &["0", "1", "2", "-3"],
                &["9223372036854775807", "(-9223372036854775807 - 1)"],
            ),
            Type::Float => {
                wide(self.dice, &["0.5", "2.0", "-1.5", "0.0"], &["-0.0", "1000000000000000000000.0"])
            }
            Type::Decimal { .. } => {
                wide(self.dice, &["0.5", "1.50", "-2.25", "0.00"], &["999999999999999999.0", "0.000000001"])
            }
            Type::Text { .. } => few(self.dice, TEXT_LITERALS),
            Type::Uuid => Some(format!("\"{}\"", key_text(self.dice.below(8)))),
            Type::Date => wide(self.dice, &["@2026-01-31", "today()"], &["@0001-01-01", "@9999-12-31"]),
            Type::Time => few(self.dice, &["\"10:00:00\"", "\"00:00:00\"", "\"23:59:59.999999\""]),
            Type::Timestamp => wide(
                self.dice,
                &["@2026-01-31T12:00:00Z", "now()", "@2026-01-30T00:00:00.5Z"],
                &["@0001-01-01T00:00:00Z", "@9999-12-31T23:59:59.999999Z"],
            ),
            Type::Duration => wide(self.dice, &["30 days", "1 hour", "0 seconds"], &["106751991 days"]),
            Type::Enum(of) => Some(self.dice.pick(&of.values).clone()),
            Type::Bytes => few(self.dice, &["\"\"", "\"AP8=\"", "\"gA==\""]),
            Type::Ref(table) => match self.schema.user_table() {
                Some(user) if user.id == *table => Some("user".to_owned()),
                _ if self.place.trusted => None,
                _ => Some(format!("\"{}\"", key_text(self.dice.below(8)))),
            },
            _ => None,
        }
    }

    fn bool(&mut self, depth: usize) -> Phrase {
        for _ in 0..8 {
            if let Some(phrase) = self.try_bool(depth) {
                return phrase;
            }
        }
        self.word(&Type::Bool, "true")
    }

    fn try_bool(&mut self, depth: usize) -> Option<Phrase> {
        let b = &Type::Bool;
        if depth == 0 {
            return if self.dice.one_in(3) { self.caller_fact() } else { self.leaf(b) };
        }
        let depth = depth - 1;
        match self.dice.below(18) {
            0 | 1 => {
                let items: Vec<Phrase> = (0..2 + self.dice.below(2)).map(|_| self.bool(depth)).collect();
                Some(self.join(b, "(", " and ", items, ")"))
            }
            2 | 3 => {
                let items: Vec<Phrase> = (0..2 + self.dice.below(2)).map(|_| self.bool(depth)).collect();
                Some(self.join(b, "(", " or ", items, ")"))
            }
            4 => {
                let inner = self.bool(depth);
                Some(self.join(b, "not (", "", [inner], ")"))
            }
            5 => self.caller_fact(),
            6 => {
                let kind = self.some_kind();
                let value = self.value(&kind, depth)?;
                let test = *self.dice.pick(&[" == null)", " != null)"]);
                Some(self.join(b, "(", "", [value], test))
            }
            7..=10 => self.comparison(depth),
            11 => {
                let kind = self.comparable_kind(false);
                let value = self.value(&kind, depth)?;
                let count = 1 + self.dice.below(3);
                let items = (0..count).map(|_| self.value(&kind, 0)).collect::<Option<Vec<_>>>()?;
                let list = self.join(&Type::Null, "[", ", ", items, "]");
                let word = *self.dice.pick(&[" in ", " not in "]);
                Some(self.join(b, "(", word, [value, list], ")"))
            }
            12 => self.text_test(depth),
            13..=15 => self.relation_test(depth),
            16 => self.membership(depth),
            _ => self.leaf(b),
        }
    }

    fn caller_fact(&mut self) -> Option<Phrase> {
        let facts = [
            "signed_in",
            "user.can(\"a\")",
            "user.can(\"b\")",
            "user.has_role(\"r\")",
            "(user != null)",
            "(tenant != null)",
        ];
        // The others are asked by rules alone.
        let of_rules = ["user.confirmed(5 minutes)", "user.confirmed_twice(5 minutes)"];
        let known = facts.len() + if self.place.trusted { of_rules.len() } else { 0 };
        let text =
            *facts.iter().chain(&of_rules).nth(self.dice.below(known)).expect("it is below their number");
        Some(self.word(&Type::Bool, text))
    }

    fn comparable_kind(&mut self, ordered: bool) -> Type {
        for _ in 0..6 {
            let kind = self.some_kind();
            let has_order = matches!(
                kind,
                Type::Int
                    | Type::Float
                    | Type::Decimal { .. }
                    | Type::Text { .. }
                    | Type::Date
                    | Type::Time
                    | Type::Timestamp
                    | Type::Duration
                    | Type::Enum(_)
            );
            let is_equal = matches!(kind, Type::Bool | Type::Uuid | Type::Bytes | Type::Ref(_));
            if has_order || (!ordered && is_equal) {
                return kind;
            }
        }
        Type::Timestamp
    }

    fn comparison(&mut self, depth: usize) -> Option<Phrase> {
        let ordered = self.dice.one_in(3);
        let kind = self.comparable_kind(ordered);
        let left = self.value(&kind, depth)?;
        let own = if self.dice.one_in(4) { self.own_value(&kind) } else { None };
        let right = own.map_or_else(|| self.value(&kind, depth), Some)?;
        let ops: &[&str] = if ordered { &[" < ", " <= ", " > ", " >= "] } else { &[" == ", " == ", " != "] };
        let op = *self.dice.pick(ops);
        Some(self.join(&Type::Bool, "(", op, [left, right], ")"))
    }

    fn text_test(&mut self, depth: usize) -> Option<Phrase> {
        let text = Type::Text { max: None };
        let sides = [self.value(&text, depth)?, self.value(&text, depth)?];
        Some(match self.dice.below(5) {
            0 => self.join(&Type::Bool, "(", " ~ ", sides, ")"),
            1 => self.join(&Type::Bool, "(", " !~ ", sides, ")"),
            2 => self.join(&Type::Bool, "starts_with(", ", ", sides, ")"),
            3 => self.join(&Type::Bool, "ends_with(", ", ", sides, ")"),
            _ => self.join(&Type::Bool, "like(", ", ", sides, ")"),
        })
    }

    /// A to-many relation: its text and the table of its rows.
    fn relation(&mut self) -> Option<(String, TableId)> {
        for _ in 0..3 {
            let (text, table) = self.way();
            let relations = &self.schema.table(table).relations;
            if (text.starts_with("user") && !self.place.trusted) || relations.is_empty() {
                continue;
            }
            let relation = self.dice.pick(relations);
            return Some((format!("{text}{}", relation.name), relation.target));
        }
        None
    }

    fn inside<T>(&mut self, table: TableId, write: impl FnOnce(&mut Self) -> T) -> T {
        self.scopes.push(table);
        let written = write(self);
        self.scopes.pop();
        written
    }

    /// A question to the rows of a to-many relation; `None` when the table has none.
    pub fn relation_test(&mut self, depth: usize) -> Option<Phrase> {
        let (text, target) = self.relation()?;
        let ask = *self.dice.pick(&["any", "any", "any", "all", "none"]);
        if ask != "all" && self.dice.one_in(6) {
            return Some(self.word(&Type::Bool, format!("{text}.{ask}()")));
        }
        let body = self.inside(target, |author| author.bool(depth));
        Some(self.join(&Type::Bool, &format!("{text}.{ask}("), "", [body], ")"))
    }

    fn membership(&mut self, depth: usize) -> Option<Phrase> {
        if self.dice.one_in(3) {
            let text = Type::Text { max: None };
            let value = self.value(&text, depth)?;
            let list = self.path_to(&Type::List(text.into()))?;
            return Some(self.join(&Type::Bool, "(", "", [value], &format!(" in {list})")));
        }
        let (text, target) = self.relation()?;
        let value = self.leaf(&Type::Ref(target))?;
        Some(self.join(&Type::Bool, "(", "", [value], &format!(" in {text})")))
    }

    /// What only values of this kind have.
    fn special(&mut self, kind: &Type, depth: usize) -> Option<Phrase> {
        let text = Type::Text { max: None };
        match kind {
            Type::Bool => Some(self.bool(depth)),
            Type::Int => match self.dice.below(9) {
                0 => self.call(kind, "length", &[&text], depth),
                1 => {
                    let list = self.path_to(&Type::List(text.into()))?;
                    Some(self.word(kind, format!("length({list})")))
                }
                2 | 3 => {
                    let function = *self.dice.pick(&["year", "month", "day"]);
                    let of = self.dice.pick(&[Type::Timestamp, Type::Date]).clone();
                    self.call(kind, function, &[&of], depth)
                }
                4 => self.call(kind, "abs", &[kind], depth),
                5 | 6 => {
                    let (text, target) = self.relation()?;
                    if self.dice.one_in(3) {
                        return Some(self.word(kind, format!("{text}.count()")));
                    }
                    let body = self.inside(target, |author| author.bool(depth.min(2)));
                    Some(self.join(kind, &format!("{text}.count("), "", [body], ")"))
                }
                7 => self.over_rows(kind, depth),
                _ => self.arithmetic(kind, &[" + ", " - ", " * ", " / ", " % "], kind, depth),
            },
            Type::Text { .. } => match self.dice.below(4) {
                0 => {
                    let function = *self.dice.pick(&["lower", "upper", "trim"]);
                    self.call(kind, function, &[kind], depth)
                }
                1 => self.call(kind, "concat", &[kind, kind], depth),
                2 => self.over_rows(kind, depth),
                _ => {
                    let json = self.path_to(&Type::Json)?;
                    let path = *self.dice.pick(&["a", "a.b", "n", "x.y"]);
                    Some(self.word(kind, format!("{json}.{path}")))
                }
            },
            Type::Decimal { .. } => match self.dice.below(5) {
                0 => {
                    let value = self.value(kind, depth)?;
                    let digits = *self.dice.pick(&[", 0)", ", 1)", ", -1)", ", 20)"]);
                    Some(self.join(kind, "round(", "", [value], digits))
                }
                1 => self.call(kind, "abs", &[kind], depth),
                2 => self.over_rows(kind, depth),
                3 => self.arithmetic(kind, &[" + ", " - ", " * ", " / ", " % "], &Type::Int, depth),
                _ => self.arithmetic(kind, &[" + ", " - ", " * ", " / ", " % "], kind, depth),
            },
            Type::Float => match self.dice.below(4) {
                0 => self.call(kind, "abs", &[kind], depth),
                1 => self.over_rows(kind, depth),
                2 => self.arithmetic(kind, &[" + ", " * ", " - "], &Type::Int, depth),
                _ => self.arithmetic(kind, &[" + ", " - ", " * ", " / ", " % "], kind, depth),
            },
            Type::Timestamp | Type::Date => match self.dice.below(3) {
                0 => self.over_rows(kind, depth),
                _ => self.arithmetic(kind, &[" + ", " - "], &Type::Duration, depth),
            },
            Type::Duration => match self.dice.below(4) {
                0 => {
                    let of = self.dice.pick(&[Type::Timestamp, Type::Date]).clone();
                    let sides = [self.value(&of, depth)?, self.value(&of, depth)?];
                    Some(self.join(kind, "(", " - ", sides, ")"))
                }
                1 => self.arithmetic(kind, &[" * ", " / "], &Type::Int, depth),
                2 => self.call(kind, "abs", &[kind], depth),
                _ => self.arithmetic(kind, &[" + ", " - "], kind, depth),
            },
            _ => self.leaf(kind),
        }
    }

    /// `lines.sum(price)`, `lines.max(day)`
    fn over_rows(&mut self, kind: &Type, depth: usize) -> Option<Phrase> {
        let (text, target) = self.relation()?;
        let is_number = matches!(kind, Type::Int | Type::Float | Type::Decimal { .. });
        let ask = *self.dice.pick(if is_number { &["sum", "min", "max"] } else { &["min", "max"] });
        let body = self.inside(target, |author| author.value(kind, depth.min(1)))?;
        Some(self.join(kind, &format!("{text}.{ask}("), "", [body], ")"))
    }

    fn call(&mut self, kind: &Type, function: &str, args: &[&Type], depth: usize) -> Option<Phrase> {
        let args = args.iter().map(|arg| self.value(arg, depth)).collect::<Option<Vec<_>>>()?;
        Some(self.join(kind, &format!("{function}("), ", ", args, ")"))
    }

    fn arithmetic(&mut self, kind: &Type, ops: &[&str], right: &Type, depth: usize) -> Option<Phrase> {
        let op = *self.dice.pick(ops);
        if self.dice.one_in(8) && op == " - " && kind == right {
            let inner = self.value(kind, depth)?;
            return Some(self.join(kind, "(-", "", [inner], ")"));
        }
        let sides = [self.value(kind, depth)?, self.value(right, depth)?];
        Some(self.join(kind, "(", op, sides, ")"))
    }
}

/// Texts as literals: empty, patterns, white space, letters outside ASCII, of several bytes, combining.
const TEXT_LITERALS: &[&str] = &[
    "\"\"",
    "\"a\"",
    "\"aB\"",
    "\"A%\"",
    "\"_b\"",
    "\" b\\t\"",
    "\"ä\"",
    "\"Ä\"",
    "\"\\\\%\"",
    "\"%b%\"",
    "\"\\u{1F600}\"",
    "\"e\\u{301}\"",
    "\"\\u{FFFD}\"",
];
