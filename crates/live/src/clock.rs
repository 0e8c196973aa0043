//! When a condition that reads the clock changes by itself.
//!
//! `due < now()` becomes true without anybody writing. It can be foretold: for each row there is one moment, its `due`, and
//! the next one of all rows is what the database is asked for. So a clock may only be compared with one column, both give
//! or take a constant; anything else (`year(now()) == 2027`, `now() in times`) is refused with `live.time`, because nobody
//! could say when to look again.

use mainstay_engine::error::{Error, Key};
use mainstay_engine::for_children;
use mainstay_lang::eval::{CallerView, Compiled, Env, Nobody};
use mainstay_lang::expr::{ArithmeticOp, Clock, Expr, Node, Root, RowPath};
use mainstay_lang::schema::{RelationKind, Schema, TableId};
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::plan::{OutputKind, Select};

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// What decides when to look again.
#[derive(Clone, Debug)]
pub(crate) enum Boundary {
    /// The clock passes the column's value and this many microseconds.
    Column {
        /// The table whose rows are asked.
        table: TableId,
        /// The column, from such a row.
        of: Expr,
        /// Microseconds behind the column's value.
        offset: i64,
    },
    /// The clock passes a moment.
    Moment(Timestamp),
    /// A day begins.
    Midnight,
}

/// Every boundary of a plan.
///
/// # Errors
/// [`Key::LiveTime`] when there is one that cannot be foretold.
pub(crate) fn boundaries(
    schema: &Schema,
    select: &Select,
    params: &[Value],
    caller: &dyn CallerView,
) -> Result<Vec<Boundary>, Error> {
    let mut walk = Walk { schema, params, caller, found: Vec::new() };
    walk.select(select)?;
    Ok(walk.found)
}

/// Whether the next change of a table's rule is known, whoever the caller is.
///
/// # Errors
/// [`Key::LiveTime`] when it is not.
pub(crate) fn is_foretold(schema: &Schema, table: TableId, rule: &Expr) -> Result<(), Error> {
    Walk { schema, params: &[], caller: &Nobody, found: Vec::new() }.expr(rule, &[table])
}

/// The first moment behind `now` at which a day begins.
pub(crate) fn midnight_after(now: Timestamp) -> Timestamp {
    Timestamp((now.0.div_euclid(DAY_US) + 1).saturating_mul(DAY_US))
}

struct Walk<'a> {
    schema: &'a Schema,
    params: &'a [Value],
    caller: &'a dyn CallerView,
    found: Vec<Boundary>,
}

impl Walk<'_> {
    fn select(&mut self, select: &Select) -> Result<(), Error> {
        for condition in &select.filter {
            self.expr(condition, &[select.table])?;
        }
        for output in &select.outputs {
            if let Some(guard) = &output.guard {
                self.expr(guard, &[select.table])?;
            }
            if let OutputKind::One { select, .. } = &output.kind {
                self.select(select)?;
            }
        }
        Ok(())
    }

    /// `scopes` are the tables of the rows around the expression, the innermost last.
    fn expr(&mut self, of: &Expr, scopes: &[TableId]) -> Result<(), Error> {
        match &of.node {
            Node::Clock(_) => Err(refused()),
            Node::Compare { left, right, .. } => match (clock(left), clock(right)) {
                (None, None) => {
                    self.expr(left, scopes)?;
                    self.expr(right, scopes)
                }
                (Some(clock), None) => self.compared(clock, right, scopes),
                (None, Some(clock)) => self.compared(clock, left, scopes),
                (Some(_), Some(_)) => Err(refused()),
            },
            Node::Column { row, .. } => self.path(row),
            Node::Many(many) => {
                self.path(&many.row)?;
                if let Some(visible) = &many.visible {
                    self.expr(visible, &[many.target])?;
                }
                if let RelationKind::Reverse { .. } =
                    self.schema.table(many.table).relation(many.relation).kind
                    && many.body.is_none()
                {
                    return Ok(());
                }
                let mut scopes = scopes.to_vec();
                scopes.push(many.target);
                many.body.as_ref().map_or(Ok(()), |body| self.expr(body, &scopes))
            }
            _ => {
                let mut children = Vec::new();
                for_children(of, &mut |child| children.push(child));
                children.into_iter().try_for_each(|child| self.expr(child, scopes))
            }
        }
    }

    fn path(&mut self, row: &RowPath) -> Result<(), Error> {
        row.hops
            .iter()
            .filter_map(|hop| Some((hop.target, hop.visible.as_ref()?)))
            .try_for_each(|(target, visible)| self.expr(visible, &[target]))
    }

    /// A clock compared with something else.
    fn compared(
        &mut self,
        (clock, ahead): (Clock, i64),
        with: &Expr,
        scopes: &[TableId],
    ) -> Result<(), Error> {
        if clock == Clock::Today {
            // Whatever it is compared with, it changes at midnight and at no other time, unless it reads a clock itself.
            self.found.push(Boundary::Midnight);
            return match self.shifted(with) {
                Some(_) => Ok(()),
                None => Err(refused()),
            };
        }
        let Some((column, behind)) = self.shifted(with) else { return Err(refused()) };
        // now + ahead passes column + behind when now passes column + behind - ahead.
        let offset = behind.saturating_sub(ahead);
        match &column.node {
            Node::Column { row, table, column: id } if row.root != Root::User => {
                let Root::Scope(level) = row.root else { return Err(refused()) };
                let start = scopes[scopes.len() - 1 - usize::from(level)];
                let mut row = RowPath { root: Root::Scope(0), hops: row.hops.clone() };
                row.hops.iter_mut().for_each(|hop| hop.visible = None);
                let node = Node::Column { row, table: *table, column: *id };
                let of = Expr { node, ..column.clone() };
                self.found.push(Boundary::Column { table: start, of, offset });
            }
            _ => {
                let compiled = Compiled::new(column).map_err(|_| refused())?;
                let env = Env { params: self.params, ..Env::of_row(&[], self.caller, Timestamp(0)) };
                match compiled.eval(&env).map(mainstay_lang::eval::Scalar::into_value) {
                    Ok(Value::Timestamp(at)) => {
                        self.found.push(Boundary::Moment(Timestamp(at.0.saturating_add(offset))));
                    }
                    // Nothing is ever true of it.
                    Ok(Value::Null) => {}
                    _ => return Err(refused()),
                }
            }
        }
        Ok(())
    }

    /// One column, give or take a constant in microseconds.
    fn shifted<'e>(&self, of: &'e Expr) -> Option<(&'e Expr, i64)> {
        match &of.node {
            Node::Column { .. } | Node::Literal(_) | Node::Param(_) | Node::Caller(_) => Some((of, 0)),
            // A column that not everyone may read is null for some; the moment is that of the column all the same.
            Node::If { then, otherwise, .. } if matches!(otherwise.node, Node::Literal(Value::Null)) => {
                self.shifted(then)
            }
            Node::Convert(inner) => self.shifted(inner),
            Node::Arithmetic { op, left, right } => {
                let (inner, by) = self.shifted(left)?;
                let by = by.checked_add(shift(*op, right)?)?;
                Some((inner, by))
            }
            _ => None,
        }
    }
}

/// A clock, give or take a constant in microseconds.
fn clock(of: &Expr) -> Option<(Clock, i64)> {
    match &of.node {
        Node::Clock(clock) => Some((*clock, 0)),
        Node::Convert(inner) => clock(inner),
        Node::Arithmetic { op, left, right } => {
            let (clock, by) = clock(left)?;
            Some((clock, by.checked_add(shift(*op, right)?)?))
        }
        _ => None,
    }
}

fn shift(op: ArithmeticOp, by: &Expr) -> Option<i64> {
    let Node::Literal(Value::Duration(by)) = &by.node else { return None };
    match op {
        ArithmeticOp::Add => Some(by.0),
        ArithmeticOp::Sub => by.0.checked_neg(),
        _ => None,
    }
}

fn refused() -> Error {
    let words = "A subscription may compare `now()` and `today()` only with one column, with or without a constant added: \
                 otherwise nobody knows when its rows change.";
    Error::new(Key::LiveTime, words)
}
