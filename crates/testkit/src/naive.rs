//! The rules of the language, evaluated without any cleverness over rows that all lie in memory.
//!
//! Independent on purpose: it shares no code with the evaluators that it judges, follows every relation by looking
//! through whole tables, and knows what a caller may see from the rules themselves ([`Eyes::Caller`]) instead of
//! from conditions that somebody planted. It is slow, and nothing but tests may depend on it.

pub mod added;
mod scalar;

use std::collections::{BTreeSet, HashMap};

use mainstay_lang::eval::{CallerView, Scalar};
use mainstay_lang::expr::{
    ArithmeticOp, Ask, CallerFact, Clock, CompareOp, Confirmed, Expr, Factor, Many, Node, Root, RowPath,
};
use mainstay_lang::schema::{ColumnId, Operation, RelationId, RelationKind, Rule, Schema, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::{Date, Timestamp, Value};

use crate::rows::NOW;

pub use added::{Added, Of};
pub use scalar::{compare, extreme, matches_text, order, sum};

/// Values in the order of the table's columns.
pub type Row = Vec<Value>;

/// Every row and link of a database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// Rows by table, in the schema's order of tables.
    pub tables: Vec<Vec<Row>>,
    /// Owner and target of each link, by the link table's name in the database.
    pub links: HashMap<String, Vec<(Value, Value)>>,
}

impl World {
    /// No rows at all.
    pub fn empty(schema: &Schema) -> World {
        World { tables: vec![Vec::new(); schema.tables.len()], links: HashMap::new() }
    }

    /// The same world with rows and links in the order of their keys, as databases give them.
    pub fn sorted(mut self) -> World {
        for rows in &mut self.tables {
            rows.sort_by_cached_key(|row| row[0].to_json());
        }
        for pairs in self.links.values_mut() {
            pairs.sort_by_cached_key(|(owner, target)| (owner.to_json(), target.to_json()));
        }
        self
    }

    /// The rows of a table.
    pub fn rows(&self, table: TableId) -> &[Row] {
        &self.tables[table.0 as usize]
    }

    /// The row of a key.
    pub fn row(&self, table: TableId, key: &Value) -> Option<&Row> {
        self.rows(table).iter().find(|row| row[0] == *key && !key.is_null())
    }
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Asker {
    /// The key of the caller's row.
    pub user: Option<Value>,
    /// Whether every rule is passed.
    pub admin: bool,
    /// `user.can("…")`
    pub permissions: BTreeSet<String>,
    /// `user.has_role("…")`
    pub roles: BTreeSet<String>,
    /// The tenant that the request is for.
    pub tenant: Option<Value>,
    /// When they have last shown who they are, and when a second factor.
    pub confirmed: [Option<Timestamp>; 2],
}

impl Asker {
    /// The same, but nobody when the user is no longer there: as who has a row alone is a caller.
    pub fn present(&self, schema: &Schema, world: &World) -> Asker {
        let is_there =
            |key: &&Value| schema.user_table().is_some_and(|users| world.row(users.id, key).is_some());
        Asker { user: self.user.as_ref().filter(is_there).cloned(), ..self.clone() }
    }
}

/// Who sees what while an expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eyes {
    /// An author's expression: all rows and columns.
    All,
    /// A caller's expression: what the caller may read.
    Caller,
}

/// Something overflowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Whether an evaluator must run into it, in whatever order it looks at the operands.
    pub certain: bool,
}

/// A value, or that there is none.
pub type Answer<T = Value> = Result<T, Failed>;

/// The evaluator for one caller at one time.
#[derive(Clone, Copy, Debug)]
pub struct Naive<'a> {
    /// The app.
    pub schema: &'a Schema,
    /// All rows.
    pub world: &'a World,
    /// All rows when the request began: what `user.…` reads, once for the whole of it.
    pub at_start: &'a World,
    /// Who asks.
    pub asker: &'a Asker,
    /// The request's clock.
    pub now: Timestamp,
    /// The rules in data when the request began.
    pub added: &'a [Added],
}

/// Where an expression stands.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    /// The rows around it with their tables, the innermost last.
    pub scopes: Vec<(TableId, &'a [Value])>,
    /// `old.…`
    pub old: Option<&'a [Value]>,
    /// `new.…`
    pub new: Option<&'a [Value]>,
    /// Values of parameters.
    pub params: &'a [Value],
    /// Whose eyes.
    pub eyes: Eyes,
}

impl<'a> Scene<'a> {
    /// An expression about one row.
    pub fn of(table: TableId, row: &'a [Value], eyes: Eyes) -> Scene<'a> {
        Scene { scopes: vec![(table, row)], old: None, new: None, params: &[], eyes }
    }
}

impl<'a> Naive<'a> {
    /// Whether the caller may read a row.
    pub fn readable(&self, table: TableId, row: &'a [Value]) -> Answer<bool> {
        self.allowed(Operation::Read, table, row)
    }

    /// Whether the rules allow an operation on a row as it stands, without its columns' own.
    pub fn allowed(&self, operation: Operation, table: TableId, row: &'a [Value]) -> Answer<bool> {
        let rules = self.schema.table(table).rules_of(operation, None);
        let rules = rules.filter(|rule| rule.relations.is_empty());
        let allowed = self.ruled((table, operation, Of::Rows), rules, &Scene::of(table, row, Eyes::All))?;
        Ok(allowed && self.is_in_tenant(table, row))
    }

    /// Whether a row belongs to the tenant of the request, or to none at all. An administrator whose request is for no
    /// tenant is in all of them.
    pub fn is_in_tenant(&self, table: TableId, row: &[Value]) -> bool {
        match (self.schema.table(table).tenant, &self.asker.tenant) {
            (None, _) => true,
            (Some(_), None) => self.asker.admin,
            (Some(column), Some(tenant)) => row[column.0 as usize] == *tenant,
        }
    }

    /// Whether the caller may read a column of a row that may be read.
    pub fn column_readable(&self, table: TableId, row: &'a [Value], column: ColumnId) -> Answer<bool> {
        let declared = self.schema.table(table);
        if declared.column(column).secret {
            return Ok(false);
        }
        let rules = declared.rules_of(Operation::Read, Some(column));
        let scene = Scene::of(table, row, Eyes::All);
        self.ruled((table, Operation::Read, Of::Column(column)), rules, &scene)
    }

    /// Whether one of the rules is true; an administrator passes all.
    pub fn any_rule<'r>(&self, rules: impl Iterator<Item = &'r Rule>, scene: &Scene<'a>) -> Answer<bool> {
        if self.asker.admin {
            return Ok(true);
        }
        let mut failed = None;
        let mut allowed = false;
        for rule in rules {
            match rule.condition.as_ref().map_or(Ok(true), |condition| self.is_true(condition, scene)) {
                Ok(truth) => allowed |= truth,
                Err(_) => failed = Some(Failed { certain: false }),
            }
        }
        failed.map_or(Ok(allowed), Err)
    }

    /// [`Naive::any_rule`] in a scene that lives shorter than the rows.
    pub fn any_rule_for<'r>(&self, rules: impl Iterator<Item = &'r Rule>, scene: &Scene<'_>) -> Answer<bool> {
        let shorter = Naive { ..*self };
        shorter.any_rule(rules, scene)
    }

    /// Whether a condition is true, rather than false or unknown.
    pub fn is_true(&self, condition: &Expr, scene: &Scene<'a>) -> Answer<bool> {
        Ok(self.eval(condition, scene)? == Value::Bool(true))
    }

    /// What a condition is for the caller whatever row it is asked of; `None`: that depends on the row, or it takes more
    /// than a look at `and`, `or` and `not` to see that it does not.
    pub fn decided(&self, condition: &Expr) -> Option<bool> {
        match &condition.node {
            Node::Not(inner) => self.decided(inner).map(|truth| !truth),
            Node::And(items) => self.decided_junction(items, false),
            Node::Or(items) => self.decided_junction(items, true),
            _ if reads_rows(condition) => None,
            _ => {
                let scene = Scene { scopes: Vec::new(), old: None, new: None, params: &[], eyes: Eyes::All };
                match self.eval(condition, &scene) {
                    Ok(Value::Bool(truth)) => Some(truth),
                    _ => None,
                }
            }
        }
    }

    fn decided_junction(&self, items: &[Expr], deciding: bool) -> Option<bool> {
        let truths: Vec<Option<bool>> = items.iter().map(|item| self.decided(item)).collect();
        if truths.contains(&Some(deciding)) {
            return Some(deciding);
        }
        truths.iter().all(Option::is_some).then_some(!deciding)
    }

    /// [`Naive::is_true`] of a condition whose parameters live shorter than the rows.
    pub fn is_true_for(&self, condition: &Expr, scene: &Scene<'_>) -> Answer<bool> {
        let shorter = Naive { ..*self };
        shorter.is_true(condition, scene)
    }

    /// The value of an expression.
    pub fn eval(&self, expr: &Expr, scene: &Scene<'a>) -> Answer {
        let of = |expr: &Expr| self.eval(expr, scene);
        let all = |items: &[Expr]| items.iter().map(of).collect::<Answer<Vec<_>>>();
        Ok(match &expr.node {
            Node::Literal(value) => value.clone(),
            Node::Param(index) => scene.params[*index as usize].clone(),
            Node::Caller(fact) => self.fact(fact),
            Node::Clock(Clock::Now) => Value::Timestamp(self.now),
            Node::Clock(Clock::Today) => Value::Date(
                Date::parse(&self.now.to_string()[..10]).expect("a timestamp begins with its day"),
            ),
            Node::EventAt => Value::Null,
            Node::Column { row, table, column } => self.column(row, *table, *column, scene)?,
            Node::Not(inner) => truth_of(2 - truth(&of(inner)?)),
            Node::And(items) => self.junction(items, scene, 0)?,
            Node::Or(items) => self.junction(items, scene, 2)?,
            Node::Compare { op, left, right } => {
                let [left, right] = self.operands([left, right], scene)?;
                compare(*op, &left, &right)
            }
            Node::IsNull { value, negated } => Value::Bool(of(value)?.is_null() != *negated),
            Node::In { value, items } => {
                let perhaps = |_| Failed { certain: false };
                let value = of(value).map_err(perhaps)?;
                let equal = |item: &Value| truth(&compare(CompareOp::Eq, &value, item));
                truth_of(all(items).map_err(perhaps)?.iter().map(equal).max().unwrap_or(0))
            }
            Node::InList { value, list } => match self.operands([value, list], scene)?.into() {
                (Value::Null, _) | (_, Value::Null) => Value::Null,
                (value, Value::List(items)) => Value::Bool(items.contains(&value)),
                other => panic!("{other:?} is no list"),
            },
            Node::Contains { value, needle } => match self.operands([value, needle], scene)?.into() {
                (Value::Text(value), Value::Text(needle)) => {
                    Value::Bool(value.to_ascii_lowercase().contains(&needle.to_ascii_lowercase()))
                }
                _ => Value::Null,
            },
            Node::Arithmetic { op, left, right } => {
                let [left, right] = match (op, of(right)) {
                    // Divided by nothing everything is null, so that one need not look at it.
                    (ArithmeticOp::Div | ArithmeticOp::Rem, Ok(right)) if scalar::is_zero(&right) => {
                        [of(left).map_err(|_| Failed { certain: false })?, right]
                    }
                    _ => self.operands([left, right], scene)?,
                };
                scalar::arithmetic(*op, &left, &right, &expr.ty)?
            }
            Node::Negate(inner) => scalar::negate(&of(inner)?)?,
            Node::Coalesce(items) => {
                for item in items {
                    let value = of(item)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Value::Null
            }
            Node::If { condition, then, otherwise } => {
                let chosen = if of(condition)? == Value::Bool(true) { then } else { otherwise };
                of(chosen)?
            }
            Node::Call { function, args } => scalar::call(*function, &self.strict(args, scene)?)?,
            Node::Convert(inner) => scalar::convert(of(inner)?, &expr.ty)?,
            Node::Rank(inner) => match (of(inner)?, &inner.ty) {
                (Value::Text(name), Type::Enum(of)) => scalar::rank(&name, of),
                _ => Value::Null,
            },
            Node::JsonPath { value, path } => scalar::json_path(&of(value)?, path),
            Node::Many(many) => self.many(many, &expr.ty, scene)?,
        })
    }

    /// The operands of what is null when one of them is: a database may see that one is, and not look at the others.
    fn strict<'e>(
        &self,
        operands: impl IntoIterator<Item = &'e Expr>,
        scene: &Scene<'a>,
    ) -> Answer<Vec<Value>> {
        let answers: Vec<Answer> = operands.into_iter().map(|operand| self.eval(operand, scene)).collect();
        let certain = !answers.contains(&Ok(Value::Null));
        let failed = |failed: Failed| Failed { certain: failed.certain && certain };
        answers.into_iter().collect::<Answer<Vec<Value>>>().map_err(failed)
    }

    fn operands(&self, operands: [&Expr; 2], scene: &Scene<'a>) -> Answer<[Value; 2]> {
        let values = self.strict(operands, scene)?;
        Ok(values.try_into().expect("two operands have two values"))
    }

    fn fact(&self, fact: &CallerFact) -> Value {
        match fact {
            CallerFact::User => self.asker.user.clone().unwrap_or(Value::Null),
            CallerFact::SignedIn => Value::Bool(self.asker.user.is_some()),
            CallerFact::Can(what) => Value::Bool(self.asker.permissions.contains(what)),
            CallerFact::HasRole(what) => Value::Bool(self.asker.roles.contains(what)),
            CallerFact::Tenant => self.asker.tenant.clone().unwrap_or(Value::Null),
            CallerFact::Session => Value::Null,
            CallerFact::Confirmed(asked) => Value::Bool(CallerView::confirmed(self, *asked)),
        }
    }

    /// Conjunction is the least, disjunction the greatest of false 0, unknown 1, true 2; `deciding` ends it early.
    fn junction(&self, items: &[Expr], scene: &Scene<'a>, deciding: i32) -> Answer {
        let answers: Vec<Answer> = items.iter().map(|item| self.eval(item, scene)).collect();
        let neutral = 2 - deciding;
        let others_are_neutral = answers.iter().flatten().all(|value| truth(value) == neutral)
            && answers.iter().any(Result::is_ok);
        let failures: Vec<&Failed> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        if let Some(first) = failures.first() {
            return Err(Failed { certain: failures.len() == 1 && others_are_neutral && first.certain });
        }
        let truths = answers.iter().flatten().map(truth);
        let total = if deciding == 0 { truths.min() } else { truths.max() };
        Ok(truth_of(total.unwrap_or(neutral)))
    }

    fn column(&self, path: &RowPath, table: TableId, column: ColumnId, scene: &Scene<'a>) -> Answer {
        // The own key is known to everyone who has one.
        if path.root == Root::User && path.hops.is_empty() && column == ColumnId::ID {
            return Ok(self.asker.user.clone().unwrap_or(Value::Null));
        }
        let Some(row) = self.row_at(path, scene)? else { return Ok(Value::Null) };
        if scene.eyes == Eyes::Caller && !self.column_readable(table, row, column)? {
            return Ok(Value::Null);
        }
        Ok(row[column.0 as usize].clone())
    }

    /// The row at the end of a path, as the scene's eyes see it.
    fn row_at(&self, path: &RowPath, scene: &Scene<'a>) -> Answer<Option<&'a [Value]>> {
        let place = |table: TableId, row: Option<&'a [Value]>| row.map(|row| (table, row));
        let mut at = match path.root {
            Root::Scope(level) => Some(scene.scopes[scene.scopes.len() - 1 - usize::from(level)]),
            Root::Old => place(scene.scopes[0].0, scene.old),
            Root::New => place(scene.scopes[0].0, scene.new),
            Root::User => {
                let users = self.schema.user_table().expect("`user` has a table").id;
                let row = self.asker.user.as_ref().and_then(|key| self.at_start.row(users, key));
                match row {
                    Some(row) if scene.eyes == Eyes::Caller && !self.readable(users, row)? => None,
                    row => place(users, row.map(Vec::as_slice)),
                }
            }
        };
        for hop in &path.hops {
            let Some((table, row)) = at else { return Ok(None) };
            if scene.eyes == Eyes::Caller && !self.column_readable(table, row, hop.column)? {
                return Ok(None);
            }
            let world = if path.root == Root::User { self.at_start } else { self.world };
            let Some(target) = world.row(hop.target, &row[hop.column.0 as usize]) else {
                return Ok(None);
            };
            let seen = match (&hop.visible, scene.eyes) {
                (_, Eyes::Caller) => self.readable(hop.target, target)?,
                (Some(visible), Eyes::All) => {
                    self.is_true(visible, &Scene::of(hop.target, target, Eyes::All))?
                }
                (None, Eyes::All) => true,
            };
            at = seen.then_some((hop.target, target.as_slice()));
        }
        Ok(at.map(|(_, row)| row))
    }

    /// The rows of a to-many relation of a row, all of them.
    pub fn related(&self, table: TableId, relation: RelationId, row: &[Value]) -> Vec<&'a [Value]> {
        let relation = self.schema.table(table).relation(relation);
        let rows = self.world.rows(relation.target).iter();
        let pairs = |name: &str| self.world.links.get(name).map_or(&[][..], Vec::as_slice);
        match &relation.kind {
            RelationKind::Reverse { column } => {
                rows.filter(|child| child[column.0 as usize] == row[0]).map(Vec::as_slice).collect()
            }
            RelationKind::Link(link) => rows
                .filter(|target| pairs(&link.db_name).contains(&(row[0].clone(), target[0].clone())))
                .map(Vec::as_slice)
                .collect(),
            RelationKind::LinkReverse { link, .. } => rows
                .filter(|owner| pairs(&link.db_name).contains(&(owner[0].clone(), row[0].clone())))
                .map(Vec::as_slice)
                .collect(),
        }
    }

    /// The rows of a to-many relation that the caller may read as such: the rows, and what leads back.
    pub fn related_readable(
        &self,
        table: TableId,
        relation: RelationId,
        row: &[Value],
    ) -> Answer<Vec<&'a [Value]>> {
        let declared = self.schema.table(table).relation(relation);
        let mut seen = Vec::new();
        for child in self.related(table, relation, row) {
            let back = match declared.kind {
                RelationKind::Reverse { column } => self.column_readable(declared.target, child, column)?,
                RelationKind::Link(_) | RelationKind::LinkReverse { .. } => true,
            };
            if back && self.readable(declared.target, child)? {
                seen.push(child);
            }
        }
        Ok(seen)
    }

    fn many(&self, many: &Many, ty: &Type, scene: &Scene<'a>) -> Answer {
        let perhaps = |_| Failed { certain: false };
        let rows = match self.row_at(&many.row, scene).map_err(perhaps)? {
            None => Vec::new(),
            Some(row) if scene.eyes == Eyes::Caller => {
                self.related_readable(many.table, many.relation, row).map_err(perhaps)?
            }
            Some(row) => self.related(many.table, many.relation, row),
        };
        let mut values = Vec::new();
        for row in rows {
            if let (Some(visible), Eyes::All) = (&many.visible, scene.eyes)
                && !self.is_true(visible, &Scene::of(many.target, row, Eyes::All)).map_err(perhaps)?
            {
                continue;
            }
            let mut inside = scene.clone();
            inside.scopes.push((many.target, row));
            let body = many.body.as_ref().map(|body| self.eval(body, &inside)).transpose();
            values.push(body.map_err(perhaps)?.unwrap_or(Value::Bool(true)));
        }
        let is_true = |value: &&Value| **value == Value::Bool(true);
        Ok(match many.ask {
            Ask::Any => Value::Bool(values.iter().any(|value| is_true(&value))),
            Ask::All => Value::Bool(values.iter().all(|value| is_true(&value))),
            Ask::None => Value::Bool(!values.iter().any(|value| is_true(&value))),
            Ask::Count => Value::Int(i64::try_from(values.iter().filter(is_true).count()).expect("few rows")),
            Ask::Sum => scalar::sum(&values, ty)?,
            Ask::Min => scalar::extreme(&values, std::cmp::Ordering::Less),
            Ask::Max => scalar::extreme(&values, std::cmp::Ordering::Greater),
        })
    }
}

/// Whether an expression looks at any row but the caller's own and those that it refers to.
fn reads_rows(expr: &Expr) -> bool {
    let mut reads = false;
    expr.walk(&mut |expr| {
        reads |= match &expr.node {
            Node::Column { row, .. } => row.root != Root::User,
            Node::Many(_) => true,
            _ => false,
        };
    });
    reads
}

/// False 0, unknown 1, true 2.
fn truth(value: &Value) -> i32 {
    match value {
        Value::Bool(false) => 0,
        Value::Null => 1,
        Value::Bool(true) => 2,
        other => panic!("{other:?} is no truth value"),
    }
}

fn truth_of(truth: i32) -> Value {
    match truth {
        0 => Value::Bool(false),
        1 => Value::Null,
        _ => Value::Bool(true),
    }
}

/// The caller as the in-memory evaluator asks for it.
impl CallerView for Naive<'_> {
    fn user(&self) -> Option<&Value> {
        self.asker.user.as_ref()
    }

    fn can(&self, permission: &str) -> bool {
        self.asker.permissions.contains(permission)
    }

    fn has_role(&self, role: &str) -> bool {
        self.asker.roles.contains(role)
    }

    fn confirmed(&self, asked: Confirmed) -> bool {
        let [any, second] = self.asker.confirmed;
        let at = if asked.factor == Factor::Any { any } else { second };
        self.asker.user.is_some() && at.is_some_and(|at| NOW.0 - at.0 < asked.within_us)
    }

    fn tenant(&self) -> Option<&Value> {
        self.asker.tenant.as_ref()
    }

    fn session(&self) -> Option<&Value> {
        None
    }

    fn user_value(&self, hops: &[ColumnId], column: ColumnId) -> Scalar<'_> {
        let found = || {
            let mut table = self.schema.user_table()?;
            let mut row = self.at_start.row(table.id, self.asker.user.as_ref()?)?;
            for hop in hops {
                table = self.schema.table(table.column(*hop).target()?);
                row = self.at_start.row(table.id, &row[hop.0 as usize])?;
            }
            row.get(column.0 as usize)
        };
        Scalar::from(found())
    }
}
