//! Calls: the functions of [`crate::functions`], questions to the caller, and methods of relations.

use super::many::Relation;
use super::path::Thing;
use super::{CallerUse, Checker, compare};
use crate::diagnostic::Diagnostic;
use crate::expr::{CallerFact, Clock, Confirmed, Expr, Factor, Node};
use crate::functions::{self, Kind, Lowering, Returns, Signature};
use crate::naming::did_you_mean;
use crate::source::Span;
use crate::syntax::{self, ExprKind, Name};
use crate::types::Type;
use crate::value::Value;

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        name: &Name,
        args: &[syntax::Expr],
        span: Span,
        hint: Option<&Type>,
    ) -> Option<Expr> {
        let Some(signature) = functions::find(&name.text) else { return self.unknown_function(name) };
        if !signature.takes(args.len()) {
            let message = format!("expected {}, found {} arguments", signature.usage(), args.len());
            return self.error("function.arguments", span, message);
        }
        match signature.lowering {
            Lowering::Clock(clock) => self.clock(name, clock, span),
            Lowering::Coalesce => {
                let operands: Vec<&syntax::Expr> = args.iter().collect();
                self.coalesce(&operands, span, hint)
            }
            Lowering::Function(function) => {
                let args = self.arguments(signature, args)?;
                let ty = match signature.returns {
                    Returns::Bool => Type::Bool,
                    Returns::Int => Type::Int,
                    Returns::Text => Type::Text { max: None },
                    Returns::Timestamp => Type::Timestamp,
                    Returns::Date => Type::Date,
                    Returns::First => args.first()?.ty.clone(),
                };
                Some(Expr { node: Node::Call { function, args }, ty, span })
            }
        }
    }

    fn clock(&mut self, name: &Name, clock: Clock, span: Span) -> Option<Expr> {
        if !self.place.clock {
            let message = format!("{} does not know the time of a request", self.place.what);
            let mut diagnostic = Diagnostic::error("expression.misplaced", name.span, message);
            if self.place.event.is_some() {
                diagnostic = diagnostic.help("`event.at` is the time of the event, on a rebuild too");
            }
            return self.report(diagnostic);
        }
        let ty = if clock == Clock::Now { Type::Timestamp } else { Type::Date };
        Some(Expr { node: Node::Clock(clock), ty, span })
    }

    fn arguments(&mut self, signature: &Signature, args: &[syntax::Expr]) -> Option<Vec<Expr>> {
        let mut checked = Vec::new();
        for (index, arg) in args.iter().enumerate() {
            let kind = signature.kind(index);
            let text = Type::Text { max: None };
            let hint = if kind == Kind::Text { Some(&text) } else { None };
            let Some(expr) = self.check(arg, hint) else { continue };
            if expr.ty == Type::Null && kind == Kind::Text || kind.accepts(&expr.ty) {
                checked.push(expr);
                continue;
            }
            let message = format!(
                "`{}` expects {} here, found {}",
                signature.name,
                kind.words(),
                self.describe(&expr.ty)
            );
            self.error("type.mismatch", expr.span, message);
        }
        (checked.len() == args.len()).then_some(checked)
    }

    fn unknown_function(&mut self, name: &Name) -> Option<Expr> {
        let mut diagnostic =
            Diagnostic::error("name.unknown", name.span, format!("there is no function `{}`", name.text));
        if let Some(help) = did_you_mean(&name.text, functions::FUNCTIONS.iter().map(|f| f.name)) {
            diagnostic = diagnostic.help(help);
        }
        self.report(diagnostic)
    }

    pub(super) fn method(
        &mut self,
        base: &syntax::Expr,
        method: &Name,
        args: &[syntax::Expr],
        span: Span,
    ) -> Option<Expr> {
        if let ExprKind::Name(name) = &compare::bare(base).kind
            && name.text == "user"
            && matches!(method.text.as_str(), "can" | "has_role" | "confirmed" | "confirmed_twice")
        {
            return self.caller_fact(name, method, args, span);
        }
        match self.thing(base, None)? {
            Thing::Many { row, table, relation, .. } => {
                self.many(Relation { row, table, relation }, method, args, span)
            }
            Thing::Value(value) | Thing::Row { key: value, .. } => {
                let message = format!("{} has no method `{}`", self.describe(&value.ty), method.text);
                let mut diagnostic = Diagnostic::error("name.unknown", method.span, message);
                if functions::find(&method.text).is_some() {
                    diagnostic = diagnostic.help(format!("it is a function: {}(…)", method.text));
                }
                self.report(diagnostic)
            }
        }
    }

    fn caller_fact(&mut self, user: &Name, method: &Name, args: &[syntax::Expr], span: Span) -> Option<Expr> {
        if self.place.caller == CallerUse::Nothing {
            let message = format!("{} does not know the caller", self.place.what);
            return self.error("expression.misplaced", user.span, message);
        }
        let factor = match method.text.as_str() {
            "confirmed" => Some(Factor::Any),
            "confirmed_twice" => Some(Factor::Second),
            _ => None,
        };
        if let Some(factor) = factor {
            return self.confirmed(factor, user, method, args, span);
        }
        let [syntax::Expr { kind: ExprKind::Text(text), .. }] = args else {
            let message = format!("`user.{}` takes one text, such as \"alert/read\"", method.text);
            return self.error("function.arguments", span, message);
        };
        let fact = if method.text == "can" {
            CallerFact::Can(text.clone())
        } else {
            CallerFact::HasRole(text.clone())
        };
        Some(Expr { node: Node::Caller(fact), ty: Type::Bool, span })
    }

    /// `user.confirmed(5 minutes)`: for authors alone, because whoever asks knows it anyway, and rules are what it is for.
    fn confirmed(
        &mut self,
        factor: Factor,
        user: &Name,
        method: &Name,
        args: &[syntax::Expr],
        span: Span,
    ) -> Option<Expr> {
        if !self.place.trusted {
            let message = format!("`user.{}` is asked by rules, not by {}", method.text, self.place.what);
            return self.error("expression.misplaced", user.span, message);
        }
        let within = match args {
            [within] => self.check(within, Some(&Type::Duration)),
            _ => None,
        };
        match within.map(|within| within.node) {
            Some(Node::Literal(Value::Duration(within))) if within.0 > 0 => {
                let fact = CallerFact::Confirmed(Confirmed { factor, within_us: within.0 });
                Some(Expr { node: Node::Caller(fact), ty: Type::Bool, span })
            }
            _ => {
                let message = format!("`user.{}` takes one length of time, such as `5 minutes`", method.text);
                self.error("function.arguments", span, message)
            }
        }
    }
}
