//! Expressions that a caller sends: `where`, `order`, `group` and `aggregate` of a request.
//!
//! They are typed as an author's are, but see less: secret columns have no names, `user` has the plain columns of the
//! caller's row alone, and there is no `old` or `new`. `$name` stands for a value that comes beside the text; its type is
//! that of whatever it is compared with. What the caller may *read* is not known here: the engine plants that into the
//! tree.

use crate::check::{Checker, Place};
use crate::diagnostic::{Diagnostic, Severity};
use crate::expr::Expr;
use crate::naming::did_you_mean;
use crate::parser;
use crate::schema::{ColumnId, Schema, TableId};
use crate::syntax::{self, ExprKind};
use crate::types::Type;

/// A condition on the rows of a table.
#[derive(Debug)]
pub struct Filter {
    /// The condition.
    pub condition: Expr,
    /// Names and types of the `$name` parameters, in the order of their [`Param`](crate::expr::Node::Param) indexes.
    pub params: Vec<(String, Type)>,
}

/// A function over many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    /// Rows, or values that are not null.
    Count,
    /// Sum; 0 of nothing.
    Sum,
    /// Least; null of nothing.
    Min,
    /// Greatest; null of nothing.
    Max,
    /// Mean as float; null of nothing.
    Avg,
}

/// `sum(quantity * price)`, `count()`
#[derive(Debug)]
pub struct Aggregate {
    /// Which function.
    pub function: AggregateFunction,
    /// Its argument; `None`: rows are counted.
    pub arg: Option<Expr>,
    /// The type of the result.
    pub ty: Type,
}

const AGGREGATES: [(&str, AggregateFunction); 5] = [
    ("avg", AggregateFunction::Avg),
    ("count", AggregateFunction::Count),
    ("max", AggregateFunction::Max),
    ("min", AggregateFunction::Min),
    ("sum", AggregateFunction::Sum),
];

/// A caller's `where`.
///
/// # Errors
/// All that is wrong with the text; places are bytes of it.
pub fn compile_filter(schema: &Schema, table: TableId, text: &str) -> Result<Filter, Vec<Diagnostic>> {
    let tree = parse(text)?;
    let mut problems = Vec::new();
    let (mut condition, mut params) = filter_pass(schema, table, &tree, Vec::new(), &mut problems);
    // A parameter may be named before the place that tells its type: `$x == null or title ~ $x`.
    if problems.is_empty() && condition.is_some() {
        (condition, params) = filter_pass(schema, table, &tree, params, &mut problems);
    }
    if problems.is_empty() {
        for (name, _) in params.iter().filter(|(_, ty)| ty.is_none()) {
            let message = format!("nothing says the type of `${name}`: compare it with a column");
            problems.push(Diagnostic::error("type.unknown", tree.span, message));
        }
    }
    match condition {
        Some(condition) if problems.is_empty() => {
            let params = params.into_iter().filter_map(|(name, ty)| Some((name, ty?))).collect();
            Ok(Filter { condition, params })
        }
        _ => Err(problems),
    }
}

type Params = Vec<(String, Option<Type>)>;

fn filter_pass(
    schema: &Schema,
    table: TableId,
    tree: &syntax::Expr,
    params: Params,
    problems: &mut Vec<Diagnostic>,
) -> (Option<Expr>, Params) {
    let mut checker = Checker::new(schema, Place::filter(table), problems).with_params(params);
    let condition = checker.condition(tree);
    (condition, checker.into_params())
}

/// A caller's `order` or `group`: a path, or an expression over the row.
///
/// # Errors
/// All that is wrong with the text; places are bytes of it.
pub fn compile_value(schema: &Schema, table: TableId, text: &str) -> Result<Expr, Vec<Diagnostic>> {
    let tree = parse(text)?;
    let mut problems = Vec::new();
    let value = Checker::new(schema, Place::value(table), &mut problems).check(&tree, None);
    match value {
        Some(value) if problems.is_empty() => match value.ty {
            Type::Json | Type::List(_) | Type::Bytes | Type::Null => {
                let message = format!("`{}` has no order", value.ty);
                Err(vec![Diagnostic::error("type.mismatch", value.span, message)])
            }
            // An enum's order is the declared one; whoever orders by it asks for its rank.
            _ => Ok(value),
        },
        _ => Err(problems),
    }
}

/// What rows that are there get in a column when it becomes required: an author's expression over the row, as a value of the
/// column.
///
/// # Errors
/// All that is wrong with the text; places are bytes of it.
pub fn compile_fill(
    schema: &Schema,
    table: TableId,
    column: ColumnId,
    text: &str,
) -> Result<Expr, Vec<Diagnostic>> {
    let tree = parse(text)?;
    let mut problems = Vec::new();
    let ty = &schema.table(table).column(column).ty;
    let value = Checker::new(schema, Place::fill(table), &mut problems).assigned(&tree, ty);
    value.filter(|_| problems.is_empty()).ok_or(problems)
}

/// A caller's `aggregate`.
///
/// # Errors
/// All that is wrong with the text; places are bytes of it.
pub fn compile_aggregate(schema: &Schema, table: TableId, text: &str) -> Result<Aggregate, Vec<Diagnostic>> {
    let tree = parse(text)?;
    let ExprKind::Call(name, args) = &tree.kind else {
        let problem = Diagnostic::error(
            "aggregate.function",
            tree.span,
            "expected count, sum, min, max or avg of something",
        );
        return Err(vec![problem.help("for example: sum(quantity)")]);
    };
    let Some((_, function)) = AGGREGATES.iter().find(|(known, _)| *known == name.text) else {
        let mut problem =
            Diagnostic::error("name.unknown", name.span, format!("there is no aggregate `{}`", name.text));
        problem.help = did_you_mean(&name.text, AGGREGATES.iter().map(|(known, _)| *known))
            .or_else(|| Some("there are count, sum, min, max and avg".to_owned()));
        return Err(vec![problem]);
    };
    let function = *function;
    let arg = match args.as_slice() {
        [] if function == AggregateFunction::Count => None,
        [arg] => Some(arg),
        _ => {
            let message = format!("`{}` takes one value, found {}", name.text, args.len());
            return Err(vec![Diagnostic::error("function.arguments", tree.span, message)]);
        }
    };
    let mut problems = Vec::new();
    let checked = match arg {
        None => None,
        Some(arg) => {
            let mut checker = Checker::new(schema, Place::value(table), &mut problems);
            let value = checker.check(arg, None).and_then(|value| match function {
                AggregateFunction::Count => Some(value),
                AggregateFunction::Sum | AggregateFunction::Avg => checker.summable(value),
                AggregateFunction::Min | AggregateFunction::Max => checker.ordered(value),
            });
            match value {
                Some(value) => Some(value),
                None => return Err(problems),
            }
        }
    };
    let ty = result_type(function, checked.as_ref().map(|arg| &arg.ty));
    Ok(Aggregate { function, arg: checked, ty })
}

/// `sum`, `min` and `max` keep the type of their values; a mean is a float.
fn result_type(function: AggregateFunction, arg: Option<&Type>) -> Type {
    match (function, arg) {
        (AggregateFunction::Count, _) | (_, None) => Type::Int,
        (AggregateFunction::Avg, Some(_)) => Type::Float,
        (AggregateFunction::Sum, Some(Type::Decimal { scale, .. })) => {
            Type::Decimal { precision: 18, scale: *scale }
        }
        (_, Some(ty)) => ty.clone(),
    }
}

fn parse(text: &str) -> Result<syntax::Expr, Vec<Diagnostic>> {
    let (tree, problems) = parser::parse_expr(0, text);
    if problems.iter().any(|problem| problem.severity == Severity::Error) { Err(problems) } else { Ok(tree) }
}
