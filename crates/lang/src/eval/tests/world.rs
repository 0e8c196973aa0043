//! Random typed expressions, and rows and callers to evaluate them for.
//!
//! Everything is read off a tape of random bytes, an empty one giving the smallest thing of a kind: making a strategy for
//! each node takes far longer than evaluating it, and a shorter tape is a smaller case.

use std::sync::Arc;

use proptest::prelude::*;

use crate::eval::{CallerView, Env};
use crate::expr::{
    ArithmeticOp, Ask, CallerFact, Clock, CompareOp, Expr, Function, Hop, Many, Node, Root, RowPath,
};
use crate::schema::{ColumnId, RelationId, TableId};
use crate::source::Span;
use crate::types::{EnumType, Type};
use crate::value::{Date, Decimal, Duration, Timestamp, Value};

/// The types of the only table's columns. The last one is its to-one relation.
pub(crate) fn columns() -> Vec<Type> {
    let role = Type::Enum(Arc::new(EnumType { values: vec!["low".into(), "mid".into(), "top".into()] }));
    vec![
        Type::Bool,
        Type::Bool,
        Type::Int,
        Type::Int,
        Type::Text { max: None },
        Type::Text { max: None },
        money(2),
        Type::Float,
        Type::Timestamp,
        Type::Duration,
        Type::Date,
        role,
        Type::List(Arc::new(Type::Text { max: None })),
        Type::Json,
    ]
}

fn money(scale: u8) -> Type {
    Type::Decimal { precision: 18, scale }
}

/// The to-one relation of every table; it leads to [`World::target`].
pub(crate) fn hop(visible: Option<Arc<Expr>>) -> Hop {
    Hop { column: ColumnId(columns().len() as u32), target: TableId(0), visible }
}

/// Everything that an expression can read.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) row: Vec<Value>,
    pub(crate) old: Option<Vec<Value>>,
    pub(crate) new: Option<Vec<Value>>,
    pub(crate) params: Vec<Value>,
    pub(crate) target: Option<Vec<Value>>,
    pub(crate) children: Vec<Vec<Value>>,
    pub(crate) user: Option<Vec<Value>>,
    pub(crate) key: Value,
    pub(crate) allowed: bool,
    pub(crate) now: Timestamp,
}

impl World {
    pub(crate) fn env(&self) -> Env<'_> {
        Env {
            row: &self.row,
            old: self.old.as_deref(),
            new: self.new.as_deref(),
            params: &self.params,
            caller: self,
            now: self.now,
            event_at: Some(self.now),
        }
    }
}

impl CallerView for World {
    fn user(&self) -> Option<&Value> {
        self.user.as_ref().map(|_| &self.key)
    }

    fn can(&self, permission: &str) -> bool {
        self.allowed && permission == "a"
    }

    fn has_role(&self, role: &str) -> bool {
        self.allowed && role == "a"
    }

    fn tenant(&self) -> Option<&Value> {
        None
    }

    fn session(&self) -> Option<&Value> {
        None
    }

    fn user_value(&self, hops: &[ColumnId], column: ColumnId) -> Option<&Value> {
        assert!(hops.is_empty(), "relations of the caller are not made here");
        self.user.as_ref()?.get(column.0 as usize)
    }
}

/// Random bytes, read from the front.
struct Tape<'t>(&'t [u8]);

impl Tape<'_> {
    /// A number below `count`; 0 when the tape has run out.
    fn below(&mut self, count: usize) -> usize {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                usize::from(*first) % count
            }
            None => 0,
        }
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 1
    }

    /// Few values, so that equality happens, with nulls and extremes.
    fn value(&mut self, ty: &Type) -> Value {
        if self.below(5) == 0 {
            return Value::Null;
        }
        match ty {
            Type::Bool => Value::Bool(self.flip()),
            Type::Int => Value::Int(self.pick(&[0, 1, 2, -3, i64::MAX, i64::MIN])),
            Type::Text { .. } => Value::Text(self.pick(&["", "a", "A%", " b ", "ä_\\", "aB"]).to_owned()),
            Type::Decimal { scale, .. } => {
                let mantissa = self.pick(&[0, 1, -150, 999_999_999_999_999_999]);
                Value::Decimal(Decimal { mantissa, scale: *scale })
            }
            Type::Float => Value::Float(self.pick(&[0.0, 0.5, -2.5, f64::MAX, 5e-324])),
            Type::Timestamp => {
                let micros = [0, 1_769_853_600_000_000, Timestamp::MIN.0, Timestamp::MAX.0];
                Value::Timestamp(Timestamp(self.pick(&micros)))
            }
            Type::Duration => {
                Value::Duration(Duration(self.pick(&[0, 1, -86_400_000_001, 90_000_000_000, i64::MIN])))
            }
            Type::Date => Value::Date(self.pick(&[Date(0), Date(20_484), Date::MIN, Date::MAX])),
            Type::Enum(of) => Value::Text(self.pick(&of.values)),
            Type::List(_) => {
                let texts: &[&str] = self.pick(&[&[][..], &["a", ""], &["aB", "a", "a"]]);
                Value::List(texts.iter().map(|text| Value::Text((*text).to_owned())).collect())
            }
            Type::Json => {
                let jsons = [r#"{"a":{"b":"x"},"n":1.0}"#, r#"{"a":{"b":null}}"#, "[1]"];
                Value::Json(self.pick(&jsons).to_owned())
            }
            other => panic!("no values of {other} are made here"),
        }
    }

    fn row(&mut self) -> Vec<Value> {
        columns().iter().map(|ty| self.value(ty)).collect()
    }

    fn maybe_row(&mut self) -> Option<Vec<Value>> {
        self.flip().then(|| self.row())
    }

    fn expr(&mut self, ty: &Type, depth: u32, many: bool) -> Expr {
        let choice = if depth == 0 { 0 } else { self.below(8) };
        let node = match choice {
            0 | 1 => self.leaf(ty, many),
            2 => Node::Coalesce(vec![self.expr(ty, depth - 1, many), self.expr(ty, depth - 1, many)]),
            3 => Node::If {
                condition: Box::new(self.expr(&Type::Bool, depth - 1, many)),
                then: Box::new(self.expr(ty, depth - 1, many)),
                otherwise: Box::new(self.expr(ty, depth - 1, many)),
            },
            _ => self.special(ty, depth - 1, many),
        };
        make(node, ty)
    }

    fn boxed(&mut self, ty: &Type, depth: u32, many: bool) -> Box<Expr> {
        Box::new(self.expr(ty, depth, many))
    }

    fn leaf(&mut self, ty: &Type, many: bool) -> Node {
        let places: Vec<u32> =
            (0u32..).zip(columns()).filter(|(_, column)| column == ty).map(|(at, _)| at).collect();
        match self.below(8) {
            0 | 1 => Node::Literal(self.value(ty)),
            _ if places.is_empty() => Node::Literal(self.value(ty)),
            2 => Node::Param(self.pick(&places)),
            _ => {
                let roots = [Root::Scope(0), Root::Scope(0), Root::Old, Root::New, Root::User, Root::User];
                let mut row = RowPath { root: self.pick(&roots), hops: Vec::new() };
                let column = ColumnId(self.pick(&places));
                if many && row.root != Root::User && self.below(3) == 0 {
                    let visible = self.flip().then(|| Arc::new(self.expr(&Type::Bool, 1, false)));
                    row.hops.push(hop(visible));
                }
                Node::Column { row, table: TableId(0), column }
            }
        }
    }

    /// What only this type has.
    fn special(&mut self, ty: &Type, depth: u32, many: bool) -> Node {
        use ArithmeticOp::{Add, Div, Mul, Rem, Sub};
        let text = Type::Text { max: None };
        let (list, role) = (columns()[12].clone(), columns()[11].clone());
        match ty {
            Type::Bool => self.condition(depth, many),
            Type::Int => match self.below(8) {
                0 => self.call(&[Function::Length], &[text], depth, many),
                1 => self.call(&[Function::Length], &[list], depth, many),
                2 => self.call(CALENDAR, &[Type::Timestamp], depth, many),
                3 => self.call(CALENDAR, &[Type::Date], depth, many),
                4 => self.call(&[Function::Abs], &[Type::Int], depth, many),
                5 => Node::Rank(self.boxed(&role, depth, many)),
                6 => Node::Negate(self.boxed(ty, depth, many)),
                _ => self.arithmetic(&[Add, Sub, Mul, Div, Rem], ty, ty, depth, many),
            },
            Type::Text { .. } => match self.below(3) {
                0 => self.call(&[Function::Lower, Function::Upper, Function::Trim], &[text], depth, many),
                1 => self.call(&[Function::Concat], &[text.clone(), text], depth, many),
                _ => {
                    let value = self.boxed(&Type::Json, depth, many);
                    Node::JsonPath { value, path: vec!["a".to_owned(), "b".to_owned()] }
                }
            },
            Type::Decimal { scale: 4, .. } => self.arithmetic(&[Mul], &money(2), &money(2), depth, many),
            Type::Decimal { .. } => match self.below(4) {
                0 => {
                    let digits = make(Node::Literal(Value::Int(self.pick(&[0, 1, -1]))), &Type::Int);
                    let args = vec![self.expr(ty, depth, many), digits];
                    Node::Call { function: Function::Round, args }
                }
                1 => Node::Convert(self.boxed(&Type::Int, depth, many)),
                2 => Node::Convert(self.boxed(&money(4), depth, many)),
                _ => self.arithmetic(&[Add, Sub, Mul, Div, Rem], ty, ty, depth, many),
            },
            Type::Float => match self.below(3) {
                0 => self.call(&[Function::Abs], std::slice::from_ref(ty), depth, many),
                1 => Node::Convert(self.boxed(&Type::Int, depth, many)),
                _ => self.arithmetic(&[Add, Sub, Mul, Div, Rem], ty, ty, depth, many),
            },
            Type::Timestamp if self.flip() => Node::Clock(Clock::Now),
            Type::Date if self.flip() => Node::Clock(Clock::Today),
            Type::Timestamp | Type::Date => self.arithmetic(&[Add, Sub], ty, &Type::Duration, depth, many),
            Type::Duration => match self.below(4) {
                0 => self.arithmetic(&[Sub], &Type::Timestamp, &Type::Timestamp, depth, many),
                1 => self.arithmetic(&[Sub], &Type::Date, &Type::Date, depth, many),
                2 => self.arithmetic(&[Mul, Div], ty, &Type::Int, depth, many),
                _ => self.arithmetic(&[Add, Sub], ty, ty, depth, many),
            },
            _ => self.leaf(ty, many),
        }
    }

    fn arithmetic(
        &mut self,
        ops: &[ArithmeticOp],
        left: &Type,
        right: &Type,
        depth: u32,
        many: bool,
    ) -> Node {
        let op = self.pick(ops);
        Node::Arithmetic { op, left: self.boxed(left, depth, many), right: self.boxed(right, depth, many) }
    }

    fn call(&mut self, functions: &[Function], args: &[Type], depth: u32, many: bool) -> Node {
        let function = self.pick(functions);
        Node::Call { function, args: args.iter().map(|ty| self.expr(ty, depth, many)).collect() }
    }

    fn condition(&mut self, depth: u32, many: bool) -> Node {
        let (text, list) = (Type::Text { max: None }, columns()[12].clone());
        match self.below(if many { 14 } else { 12 }) {
            0 | 1 => Node::And(self.conditions(depth, many)),
            2 | 3 => Node::Or(self.conditions(depth, many)),
            4 => Node::Not(self.boxed(&Type::Bool, depth, many)),
            5 | 6 => Node::Caller(self.pick(&[
                CallerFact::SignedIn,
                CallerFact::Can("a".into()),
                CallerFact::Can("b".into()),
                CallerFact::HasRole("a".into()),
            ])),
            7 => Node::IsNull { negated: self.flip(), value: self.any_boxed(depth, many) },
            8 => {
                let value = self.comparable(depth, many);
                let count = self.below(3);
                let items = (0..count).map(|_| self.expr(&value.ty, depth, many)).collect();
                Node::In { value, items }
            }
            9 => Node::InList { value: self.boxed(&text, depth, many), list: self.boxed(&list, depth, many) },
            10 if self.flip() => Node::Contains {
                value: self.boxed(&text, depth, many),
                needle: self.boxed(&text, depth, many),
            },
            10 => {
                let functions = [Function::Like, Function::StartsWith, Function::EndsWith];
                self.call(&functions, &[text.clone(), text], depth, many)
            }
            11 => {
                let left = self.comparable(depth, many);
                let right = self.boxed(&left.ty.clone(), depth, many);
                let ops = [
                    CompareOp::Eq,
                    CompareOp::Ne,
                    CompareOp::Lt,
                    CompareOp::Le,
                    CompareOp::Gt,
                    CompareOp::Ge,
                ];
                Node::Compare { op: self.pick(&ops), left, right }
            }
            _ => Node::Many(Box::new(Many {
                row: RowPath { root: self.pick(&[Root::Scope(0), Root::Old, Root::User]), hops: Vec::new() },
                table: TableId(0),
                relation: RelationId(0),
                target: TableId(0),
                ask: self.pick(&[Ask::Any, Ask::All, Ask::None]),
                body: Some(self.expr(&Type::Bool, 2, false)),
                visible: self.flip().then(|| Arc::new(self.expr(&Type::Bool, 1, false))),
            })),
        }
    }

    fn conditions(&mut self, depth: u32, many: bool) -> Vec<Expr> {
        let count = 2 + self.below(2);
        (0..count).map(|_| self.expr(&Type::Bool, depth, many)).collect()
    }

    /// Of any type that has a comparison.
    fn comparable(&mut self, depth: u32, many: bool) -> Box<Expr> {
        let ty = self.pick(&columns()[..12]);
        self.boxed(&ty, depth, many)
    }

    fn any_boxed(&mut self, depth: u32, many: bool) -> Box<Expr> {
        let ty = self.pick(&columns());
        self.boxed(&ty, depth, many)
    }
}

const CALENDAR: &[Function] = &[Function::Year, Function::Month, Function::Day];

fn make(node: Node, ty: &Type) -> Expr {
    Expr { node, ty: ty.clone(), span: Span::default() }
}

pub(crate) fn any_world() -> impl Strategy<Value = World> {
    proptest::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| {
        let mut tape = Tape(&bytes);
        World {
            row: tape.row(),
            user: tape.maybe_row(),
            allowed: tape.flip(),
            key: tape.value(&Type::Int),
            old: tape.maybe_row(),
            target: tape.maybe_row(),
            children: (0..tape.below(3)).map(|_| tape.row()).collect(),
            params: tape.row(),
            new: tape.maybe_row(),
            now: Timestamp(1_769_853_600_000_000),
        }
    })
}

/// A random expression of a random type; `many` adds relations.
pub(crate) fn any_expr(many: bool) -> impl Strategy<Value = Expr> {
    proptest::collection::vec(any::<u8>(), 0..150).prop_map(move |bytes| {
        let mut tape = Tape(&bytes);
        let ty = match tape.below(6) {
            0..4 => Type::Bool,
            4 => money(4),
            _ => tape.pick(&columns()),
        };
        tape.expr(&ty, 4, many)
    })
}

/// A random condition.
pub(crate) fn any_condition(many: bool) -> impl Strategy<Value = Expr> {
    proptest::collection::vec(any::<u8>(), 0..150)
        .prop_map(move |bytes| Tape(&bytes).expr(&Type::Bool, 4, many))
}
