//! Expressions, by operator precedence.
//!
//! Loosest first: `or`, `and`, `not`, comparisons (which do not chain), `??`, `+ -`, `* / %`, unary `-`, `.name` and
//! calls. The tree is never deeper than about twice [`DEPTH_MAX`], so that whoever walks it may recurse.

use super::Parser;
use crate::diagnostic::Diagnostic;
use crate::lexer::unescape;
use crate::source::Span;
use crate::syntax::{BinaryOp, Expr, ExprKind, Name};
use crate::token::{Kind, Token};

/// How deep expressions may be nested, and how many operators may follow each other on one level.
pub(super) const DEPTH_MAX: usize = 200;

/// How tightly operators bind.
mod power {
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const NOT: u8 = 3;
    pub(super) const COMPARE: u8 = 4;
    pub(super) const COALESCE: u8 = 5;
    pub(super) const SUM: u8 = 6;
    pub(super) const PRODUCT: u8 = 7;
    pub(super) const NEGATE: u8 = 8;
}

/// An infix operator.
#[derive(Clone, Copy)]
enum Infix {
    Binary(BinaryOp),
    In,
    NotIn,
}

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Expr {
        self.binary(power::OR)
    }

    /// A literal or path with nothing infix behind it: the bound of `min` and `max`.
    pub(super) fn operand(&mut self) -> Expr {
        self.binary(power::NEGATE)
    }

    fn binary(&mut self, least: u8) -> Expr {
        if self.depth >= DEPTH_MAX {
            return self.too_deep();
        }
        let depth = self.depth;
        self.depth += 1;
        let mut left = self.prefix(least);
        let mut compared = false;
        while let Some((op, binds)) = self.infix().filter(|(_, binds)| *binds >= least) {
            if self.depth >= DEPTH_MAX {
                left = self.too_deep();
                break;
            }
            self.depth += 1;
            let token = self.peek();
            if binds == power::COMPARE && std::mem::replace(&mut compared, true) {
                let problem = Diagnostic::error("syntax", token.span, "comparisons do not chain");
                self.report(problem.help("compare twice and join with `and`: `a < b and b < c`"));
            }
            if token.kind == Kind::Assign {
                let problem = Diagnostic::error("syntax", token.span, "`=` does not compare");
                self.report(problem.help("`==` does"));
            }
            self.bump();
            if matches!(op, Infix::NotIn) {
                self.bump();
            }
            let right = self.binary(binds + 1);
            let span = left.span.to(right.span);
            let (left_side, right) = (Box::new(left), Box::new(right));
            let kind = match op {
                Infix::Binary(op) => ExprKind::Binary(op, left_side, right),
                Infix::In => ExprKind::In(left_side, right, false),
                Infix::NotIn => ExprKind::In(left_side, right, true),
            };
            left = Expr { kind, span };
        }
        self.depth = depth;
        left
    }

    /// Reports it once and leaves the whole expression: the levels around it would only report it again.
    fn too_deep(&mut self) -> Expr {
        self.error(format!("the expression is nested too deep: at most {DEPTH_MAX} levels"));
        loop {
            let token = self.peek();
            let ends = matches!(token.kind, Kind::LeftBrace | Kind::RightBrace | Kind::Doc | Kind::End);
            if ends || (self.lines && token.line_start && self.line_begins(0)) {
                break;
            }
            self.bump();
        }
        self.failed_at = Some(self.at);
        self.nothing()
    }

    /// What stands for an expression that could not be read.
    fn nothing(&self) -> Expr {
        let span = self.peek().span;
        Expr { kind: ExprKind::Error, span: Span { end: span.start, ..span } }
    }

    /// The infix operator that stands here, and how tightly it binds.
    fn infix(&self) -> Option<(Infix, u8)> {
        let binary = |op, binds| Some((Infix::Binary(op), binds));
        match self.peek().kind {
            Kind::Or => binary(BinaryOp::Or, power::OR),
            Kind::And => binary(BinaryOp::And, power::AND),
            Kind::Name => match self.word() {
                "or" => binary(BinaryOp::Or, power::OR),
                "and" => binary(BinaryOp::And, power::AND),
                "in" => Some((Infix::In, power::COMPARE)),
                "not" if self.nth_word(1) == "in" => Some((Infix::NotIn, power::COMPARE)),
                _ => None,
            },
            Kind::Equal => binary(BinaryOp::Eq, power::COMPARE),
            Kind::NotEqual => binary(BinaryOp::Ne, power::COMPARE),
            Kind::Less => binary(BinaryOp::Lt, power::COMPARE),
            Kind::LessEqual => binary(BinaryOp::Le, power::COMPARE),
            Kind::Greater => binary(BinaryOp::Gt, power::COMPARE),
            Kind::GreaterEqual => binary(BinaryOp::Ge, power::COMPARE),
            Kind::Contains => binary(BinaryOp::Contains, power::COMPARE),
            Kind::NotContains => binary(BinaryOp::NotContains, power::COMPARE),
            // Whoever expects a `=` reads it before the expression, so that one behind an operand is a mistake.
            Kind::Assign => binary(BinaryOp::Eq, power::COMPARE),
            Kind::Coalesce => binary(BinaryOp::Coalesce, power::COALESCE),
            Kind::Plus => binary(BinaryOp::Add, power::SUM),
            Kind::Minus => binary(BinaryOp::Sub, power::SUM),
            Kind::Star => binary(BinaryOp::Mul, power::PRODUCT),
            Kind::Slash => binary(BinaryOp::Div, power::PRODUCT),
            Kind::Percent => binary(BinaryOp::Rem, power::PRODUCT),
            _ => None,
        }
    }

    fn prefix(&mut self, least: u8) -> Expr {
        let token = self.peek();
        let start = token.span;
        match token.kind {
            Kind::Minus
                if self.nth(1).kind == Kind::Int && self.slice(self.nth(1)) == "9223372036854775808" =>
            {
                self.bump();
                let span = start.to(self.bump().span);
                Expr { kind: ExprKind::Int(i64::MIN), span }
            }
            Kind::Minus => {
                self.bump();
                let inner = self.binary(power::NEGATE);
                let span = start.to(inner.span);
                Expr { kind: ExprKind::Negate(Box::new(inner)), span }
            }
            Kind::Not => self.not(least),
            Kind::Name if self.word() == "not" => self.not(least),
            Kind::Name if self.word() == "if" => self.choice(),
            _ => self.postfix(),
        }
    }

    fn not(&mut self, least: u8) -> Expr {
        let start = self.bump().span;
        if least > power::NOT {
            let problem =
                Diagnostic::error("syntax", start, "`not` binds more loosely than the operator before it");
            self.report(problem.help("put parentheses around it: `a == (not b)`"));
        }
        let inner = self.binary(least.max(power::NOT));
        let span = start.to(inner.span);
        Expr { kind: ExprKind::Not(Box::new(inner)), span }
    }

    fn choice(&mut self) -> Expr {
        let start = self.bump().span;
        let condition = Box::new(self.expr());
        let then = Box::new(self.branch("then"));
        let otherwise = Box::new(self.branch("else"));
        let span = start.to(otherwise.span);
        Expr { kind: ExprKind::If(condition, then, otherwise), span }
    }

    fn branch(&mut self, word: &str) -> Expr {
        if !self.eat_word(word) {
            let found = self.found();
            self.error(format!("expected `{word}`, found {found}: it is `if a then b else c`"));
            return self.nothing();
        }
        self.expr()
    }

    fn postfix(&mut self) -> Expr {
        let depth = self.depth;
        let mut base = self.primary();
        while self.eat(Kind::Dot) {
            if self.depth >= DEPTH_MAX {
                base = self.too_deep();
                break;
            }
            self.depth += 1;
            if self.peek().kind != Kind::Name || self.breaks_expression() {
                let found = self.found();
                self.error(format!("expected a name after `.`, found {found}"));
                break;
            }
            let name = self.any_name();
            let start = base.span;
            let kind = if self.eat(Kind::LeftParen) {
                let args = self.list(Kind::RightParen, |parser| Some(parser.expr()));
                ExprKind::Method(Box::new(base), name, args)
            } else {
                ExprKind::Member(Box::new(base), name)
            };
            base = Expr { kind, span: start.to(self.last_span()) };
        }
        self.depth = depth;
        base
    }

    fn primary(&mut self) -> Expr {
        let token = self.peek();
        if self.breaks_expression() {
            return self.no_operand();
        }
        let kind = match token.kind {
            Kind::Name => return self.name_or_call(),
            Kind::LeftParen => return self.parenthesised(),
            Kind::LeftBracket => {
                self.bump();
                let items = self.list(Kind::RightBracket, |parser| Some(parser.expr()));
                let span = token.span.to(self.last_span());
                return Expr { kind: ExprKind::List(items), span };
            }
            Kind::Int => {
                self.bump();
                return self.int_or_duration(token);
            }
            Kind::Number => ExprKind::Number(self.slice(token).to_owned()),
            Kind::Text => ExprKind::Text(unescape(self.slice(token), |_, _, _| {})),
            Kind::Date => ExprKind::Date(self.slice(token)[1..].to_owned()),
            Kind::Timestamp => ExprKind::Timestamp(self.slice(token)[1..].to_owned()),
            Kind::Param => {
                let span = Span { start: token.span.start + 1, ..token.span };
                ExprKind::Param(Name { text: self.slice(token)[1..].to_owned(), span })
            }
            _ => return self.no_operand(),
        };
        self.bump();
        Expr { kind, span: token.span }
    }

    fn no_operand(&mut self) -> Expr {
        let found = self.found();
        self.error(format!("expected an expression, found {found}"));
        self.nothing()
    }

    fn name_or_call(&mut self) -> Expr {
        let token = self.peek();
        let kind = match self.word() {
            "true" => ExprKind::Bool(true),
            "false" => ExprKind::Bool(false),
            "null" => ExprKind::Null,
            "and" | "or" | "in" | "then" | "else" => return self.no_operand(),
            _ => {
                let name = self.any_name();
                let kind = if self.eat(Kind::LeftParen) {
                    ExprKind::Call(name, self.list(Kind::RightParen, |parser| Some(parser.expr())))
                } else {
                    ExprKind::Name(name)
                };
                return Expr { kind, span: token.span.to(self.last_span()) };
            }
        };
        self.bump();
        Expr { kind, span: token.span }
    }

    fn parenthesised(&mut self) -> Expr {
        let open = self.bump().span;
        let inner = self.expr();
        if self.peek().kind == Kind::Comma && !self.is_stuck() {
            let problem = Diagnostic::error("syntax", open, "a list stands in brackets");
            self.report(problem.help("write `[a, b]`"));
            self.bump();
            let mut items = vec![inner];
            items.extend(self.list(Kind::RightParen, |parser| Some(parser.expr())));
            return Expr { kind: ExprKind::List(items), span: open.to(self.last_span()) };
        }
        if !self.eat(Kind::RightParen) {
            let found = self.found();
            self.error(format!("expected an operator or `)`, found {found}"));
            self.skip_list(open, Kind::RightParen);
        }
        Expr { kind: ExprKind::Paren(Box::new(inner)), span: open.to(self.last_span()) }
    }

    fn int_or_duration(&mut self, token: Token) -> Expr {
        let number = self.int(token);
        if self.unit_here() {
            let unit = self.any_name();
            let span = token.span.to(unit.span);
            return Expr { kind: ExprKind::Duration(number, unit), span };
        }
        let word = self.word();
        if matches!(word, "month" | "months" | "year" | "years")
            && !self.peek().line_start
            && !self.column_here()
        {
            let span = token.span.to(self.bump().span);
            let message = format!("a {} has no fixed length", word.trim_end_matches('s'));
            self.report(Diagnostic::error("syntax", span, message).help("write it in days or weeks"));
            return Expr { kind: ExprKind::Error, span };
        }
        Expr { kind: ExprKind::Int(number), span: token.span }
    }

    /// The value of a [`Kind::Int`].
    pub(super) fn int(&mut self, token: Token) -> i64 {
        self.slice(token).parse().unwrap_or_else(|_| {
            let message = "the number is too large: an int is at most 9223372036854775807";
            self.report(Diagnostic::error("syntax", token.span, message));
            0
        })
    }
}
