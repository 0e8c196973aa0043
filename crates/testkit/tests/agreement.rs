//! One expression, three evaluators: in memory, in SQL on real databases, and a naive one that reads all rows.
//!
//! Expressions are written as text and go through the parser and checker; rows hold nulls and the extremes of every
//! type. Where the naive one finds an overflow that nobody can avoid, the others must find it too; where the order of
//! evaluation decides, they may.

use std::sync::Arc;

use mainstay_lang::eval::{Compiled, Env, Scalar};
use mainstay_lang::expr::{CallerFact, Expr, Node, Root, RowPath};
use mainstay_lang::filter::{compile_aggregate, compile_filter};
use mainstay_lang::fold::{specialise, specialise_filter};
use mainstay_lang::schema::{Schema, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::plan::Images;
use mainstay_sql::statement::{Bind, Statement};
use mainstay_store::{Query, StoreError};
use mainstay_testkit::author::{Author, Place};
use mainstay_testkit::cases::{cases, first_seed};
use mainstay_testkit::database::{Database, DatabaseKind, schema_of};
use mainstay_testkit::dice::Dice;
use mainstay_testkit::naive::{Asker, Eyes, Failed, Naive, Scene, World};
use mainstay_testkit::phrase::Phrase;
use mainstay_testkit::rows::{self, NOW, key};

const APP: &str = r#"
extend User {
  level int?
  team Team?
  nick text?
}
table Team {
  title text?
  size int?
  lead User?
  things Thing[] by team
  fans User[]
}
table Thing {
  yes bool?
  no bool?
  n int?
  m int
  title text?
  note text(40)?
  price decimal(18, 2)?
  rate decimal(9, 4)?
  tiny decimal(18, 18)?
  ratio float?
  other float
  day date?
  hour time?
  moment timestamp?
  span duration?
  role enum(low, mid, top)?
  mode enum(low, mid, top) = mid
  tags text[]?
  data json?
  blob bytes?
  code uuid?
  team Team?
  parent Thing?
  children Thing[] by parent
  friends Thing[]
  admirers Thing[] by friends
  RULES
}
"#;

/// Rules on one schema, each on a line of its own.
fn rules_of(texts: &[String]) -> (Arc<Schema>, Vec<usize>) {
    let mut kept: Vec<usize> = (0..texts.len()).collect();
    loop {
        let lines: Vec<String> = kept.iter().map(|at| format!("allow update if {}", texts[*at])).collect();
        let text = APP.replace("RULES", &lines.join("\n"));
        let first = APP[..APP.find("RULES").expect("the app has a place for rules")].matches('\n').count();
        match schema_of(&text) {
            Ok(schema) => return (schema, kept),
            Err(problems) => {
                let line = |at: u32| text[..at as usize].matches('\n').count() - first;
                let wrong: Vec<usize> = problems.iter().map(|problem| line(problem.span.start)).collect();
                kept = (0..kept.len()).filter(|at| !wrong.contains(at)).map(|at| kept[at]).collect();
            }
        }
    }
}

/// An expression of a text, as its place takes it.
fn compile(schema: &Schema, table: TableId, text: &str, form: Form) -> Option<Expr> {
    match form {
        Form::Rule => {
            let (schema, kept) = rules_of(&[text.to_owned()]);
            let rule = schema.table(table).rules.first()?;
            (!kept.is_empty()).then(|| rule.condition.as_deref().cloned())?
        }
        Form::Filter => {
            let filter = compile_filter(schema, table, text).ok()?;
            filter.params.is_empty().then_some(filter.condition)
        }
        Form::Value => compile_aggregate(schema, table, &format!("count({text})")).ok()?.arg,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Rule,
    Filter,
    Value,
}

/// What an expression is evaluated in.
struct Setting {
    database: Database,
    world: World,
}

struct Case<'a> {
    asker: &'a Asker,
    table: TableId,
    row: usize,
    old: &'a [Value],
    new: &'a [Value],
    visible: Option<Arc<Expr>>,
}

impl Setting {
    /// What is wrong with the evaluators' answers; `Ok(true)`: there was an answer to compare.
    async fn check(&self, expr: &Expr, case: &Case<'_>) -> Result<bool, String> {
        let schema = self.database.engine.schema();
        let naive = Naive {
            schema,
            world: &self.world,
            at_start: &self.world,
            asker: case.asker,
            now: NOW,
            added: &[],
        };
        let row = &self.world.rows(case.table)[case.row];
        let mut scene = Scene::of(case.table, row, Eyes::All);
        (scene.old, scene.new) = (Some(case.old), Some(case.new));
        let mut expr = expr.clone();
        if let Some(visible) = &case.visible {
            // What overflows for rows that do not count may or may not show: keeping it from callers is the guard's work.
            let overflows = |row: &Vec<Value>| {
                let scene = Scene { scopes: vec![(case.table, row.as_slice())], ..scene.clone() };
                naive.eval(&expr, &scene).is_err()
            };
            if self.world.rows(case.table).iter().any(overflows) {
                return Ok(false);
            }
            plant(&mut expr, case.table, visible);
        }
        let expected = naive.eval(&expr, &scene);
        if expr.is_row_local() {
            let env = Env { old: Some(case.old), new: Some(case.new), ..Env::of_row(row, &naive, NOW) };
            differs("in memory", &expected, &in_memory(&expr, &env)?)?;
            let (general, params) = with_params(&expr);
            let env = Env { params: &params, ..env };
            differs("in memory, with parameters", &expected, &in_memory(&general, &env)?)?;
        }
        // A database computes what is the same for every row before it knows whether a row asks for it, and other parts in
        // the order of what they cost.
        let is_early = |found: &Result<Value, String>| {
            let overflows = found.as_ref().is_err_and(|words| words.contains("overflow"));
            overflows && expected.is_ok() && fails_somewhere(&expr, &naive, &scene)
        };
        let found = self.in_sql(&expr, case, &naive).await;
        if is_early(&found) {
            return Ok(false);
        }
        differs("in SQL", &expected, &found)?;
        let special = specialise(&expr, &naive, NOW);
        // What is null for a caller is not computed with, so an overflow may vanish.
        if expected.is_ok() {
            let found = self.in_sql(&special, case, &naive).await;
            if is_early(&found) {
                return Ok(false);
            }
            differs("specialised, in SQL", &expected, &found)?;
            let found = naive.eval(&special, &scene).map_err(|failed| format!("{failed:?}"));
            differs("specialised", &expected, &found)?;
        }
        if asks_facts(&special) {
            return Err(format!("specialised, it still asks who the caller is: {special:?}"));
        }
        if expr.ty == Type::Bool
            && let Ok(value) = &expected
        {
            let special = specialise_filter(&expr, &naive, NOW);
            if asks_facts(&special) || matches!(special.node, Node::Literal(Value::Null)) {
                return Err(format!("specialised as a filter, it is not decided: {special:?}"));
            }
            let found = self.in_sql(&special, case, &naive).await;
            if is_early(&found) {
                return Ok(false);
            }
            let truth = Ok(Value::Bool(*value == Value::Bool(true)));
            let found = found.map(|value| Value::Bool(value == Value::Bool(true)));
            differs("specialised as a filter, in SQL", &truth, &found)?;
            self.check_found(&expr, case, &naive, &scene).await?;
        }
        Ok(expected.is_ok())
    }

    /// The same rows are found by the condition, as written and as a filter for its caller.
    async fn check_found(
        &self,
        expr: &Expr,
        case: &Case<'_>,
        naive: &Naive<'_>,
        scene: &Scene<'_>,
    ) -> Result<(), String> {
        let mut keys = Vec::new();
        for row in self.world.rows(case.table) {
            let scene = Scene { scopes: vec![(case.table, row.as_slice())], ..scene.clone() };
            let Ok(truth) = naive.is_true(expr, &scene) else { return Ok(()) };
            if fails_somewhere(expr, naive, &scene) {
                return Ok(());
            }
            keys.extend(truth.then(|| row[0].clone()));
        }
        for filter in [expr.clone(), specialise_filter(expr, naive, NOW)] {
            let plan = Images { table: case.table, filter: vec![filter], limit: None, lock: None };
            let statement =
                mainstay_sql::images(self.database.engine.schema(), self.database.kind.dialect(), &plan);
            let sql = statement.sql.clone();
            let found = self.run(statement, case, naive).await.map_err(|words| format!("{words}: {sql}"))?;
            let found: Vec<Value> = found.into_iter().map(|mut row| row.remove(0)).collect();
            if found != keys {
                return Err(format!("found: {found:?}\nnaive: {keys:?}\n{sql}"));
            }
        }
        Ok(())
    }

    async fn in_sql(&self, expr: &Expr, case: &Case<'_>, naive: &Naive<'_>) -> Result<Value, String> {
        let schema = self.database.engine.schema();
        let statement =
            mainstay_sql::test(schema, self.database.kind.dialect(), case.table, &[stored(schema, expr)]);
        Ok(self.run(statement, case, naive).await?.remove(0).remove(0))
    }

    async fn run(
        &self,
        statement: Statement,
        case: &Case<'_>,
        naive: &Naive<'_>,
    ) -> Result<Vec<Vec<Value>>, String> {
        use mainstay_lang::eval::CallerView;
        let key = &self.world.rows(case.table)[case.row][0];
        let scene = Scene::of(case.table, &[], Eyes::All);
        let value = |bind: &Bind| match bind {
            Bind::Value(value) => value.clone(),
            Bind::Param(_) => key.clone(),
            Bind::User { hops, column } => naive.user_value(hops, *column).into_value(),
            Bind::Caller(fact) => {
                naive.eval(&literal_of(Node::Caller(fact.clone())), &scene).expect("a fact")
            }
            Bind::Clock(clock) => naive.eval(&literal_of(Node::Clock(*clock)), &scene).expect("a time"),
            Bind::Old(column) => case.old[column.0 as usize].clone(),
            Bind::New(column) => case.new[column.0 as usize].clone(),
            Bind::Array { .. } => unreachable!("no condition takes an array"),
            Bind::KeyPart { .. } => unreachable!("no table here has a key of several columns"),
        };
        let values = statement.binds.iter().map(value).collect();
        let sql = statement.sql.clone();
        match self.database.values(vec![Query { statement: Arc::new(statement), values }]).await {
            Ok(mut found) => Ok(found.remove(0)),
            Err(StoreError::Arithmetic(words)) => Err(words),
            Err(other) => Err(format!("{other}\n{sql}")),
        }
    }
}

/// Whether a part of an expression has no value for some row that it could be asked of.
fn fails_somewhere<'a>(expr: &Expr, naive: &Naive<'a>, scene: &Scene<'a>) -> bool {
    if naive.eval(expr, scene).is_err() {
        return true;
    }
    if let Node::Many(many) = &expr.node {
        let Some(body) = &many.body else { return false };
        return naive.world.rows(many.target).iter().any(|row| {
            let mut inside = scene.clone();
            inside.scopes.push((many.target, row));
            fails_somewhere(body, naive, &inside)
        });
    }
    parts(expr).into_iter().any(|part| fails_somewhere(part, naive, scene))
}

/// What an expression is made of, in the same scopes.
fn parts(expr: &Expr) -> Vec<&Expr> {
    match &expr.node {
        Node::Literal(_)
        | Node::Param(_)
        | Node::Caller(_)
        | Node::Clock(_)
        | Node::EventAt
        | Node::Column { .. }
        | Node::Many(_) => Vec::new(),
        Node::Not(inner) | Node::Negate(inner) | Node::Convert(inner) | Node::Rank(inner) => vec![inner],
        Node::And(items) | Node::Or(items) | Node::Coalesce(items) => items.iter().collect(),
        Node::Compare { left, right, .. } | Node::Arithmetic { left, right, .. } => vec![left, right],
        Node::IsNull { value, .. } | Node::JsonPath { value, .. } => vec![value],
        Node::In { value, items } => [&**value].into_iter().chain(items).collect(),
        Node::InList { value, list } => vec![value, list],
        Node::Contains { value, needle } => vec![value, needle],
        Node::If { condition, then, otherwise } => vec![condition, then, otherwise],
        Node::Call { args, .. } => args.iter().collect(),
    }
}

fn in_memory(expr: &Expr, env: &Env<'_>) -> Result<Result<Value, String>, String> {
    let compiled = Compiled::new(expr).map_err(|error| error.to_string())?;
    Ok(compiled.eval(env).map(Scalar::into_value).map_err(|error| error.to_string()))
}

/// The same with parameters in place of literals, and their values.
fn with_params(expr: &Expr) -> (Expr, Vec<Value>) {
    let (mut general, mut params) = (expr.clone(), Vec::new());
    change(&mut general, &mut |expr| {
        if let Node::Literal(value) = &expr.node {
            params.push(value.clone());
            expr.node = Node::Param(u32::try_from(params.len() - 1).expect("few"));
        }
    });
    (general, params)
}

/// Whether what is known of a caller is still to be asked.
fn asks_facts(expr: &Expr) -> bool {
    let mut asks = false;
    expr.walk(&mut |part| {
        asks |= matches!(
            part.node,
            Node::Caller(CallerFact::Can(_) | CallerFact::HasRole(_) | CallerFact::SignedIn)
        );
    });
    asks
}

/// A reference is read as the key that it is.
fn stored(schema: &Schema, expr: &Expr) -> Expr {
    Expr { ty: schema.storage_type(&expr.ty).clone(), ..expr.clone() }
}

fn literal_of(node: Node) -> Expr {
    Expr { node, ty: Type::Null, span: mainstay_lang::source::Span::default() }
}

fn differs(who: &str, expected: &Result<Value, Failed>, found: &Result<Value, String>) -> Result<(), String> {
    // As JSON, so that the scale of decimals counts.
    let same = match (expected, found) {
        (Ok(expected), Ok(found)) => expected.to_json() == found.to_json(),
        (Err(Failed { certain: true }), found) => {
            found.as_ref().is_err_and(|words| words.contains("overflow"))
        }
        (Err(_), _) => true,
        (Ok(_), Err(_)) => false,
    };
    if same { Ok(()) } else { Err(format!("{who}: {found:?}\nnaive: {expected:?}")) }
}

/// Makes rows of `table` count only where `visible` is true, wherever the expression reaches one over a relation.
fn plant(expr: &mut Expr, table: TableId, visible: &Arc<Expr>) {
    let in_path = |path: &mut RowPath| {
        // The caller's own way is bound, and callers have no way to plant anything in it.
        if path.root != Root::User {
            for hop in path.hops.iter_mut().filter(|hop| hop.target == table) {
                hop.visible = Some(visible.clone());
            }
        }
    };
    change(expr, &mut |expr| match &mut expr.node {
        Node::Column { row, .. } => in_path(row),
        Node::Many(many) => {
            in_path(&mut many.row);
            if many.target == table {
                many.visible = Some(visible.clone());
            }
        }
        _ => {}
    });
}

/// Every part of an expression, changed where it stands.
fn change(expr: &mut Expr, with: &mut dyn FnMut(&mut Expr)) {
    with(expr);
    let children: Vec<&mut Expr> = match &mut expr.node {
        Node::Literal(_)
        | Node::Param(_)
        | Node::Caller(_)
        | Node::Clock(_)
        | Node::EventAt
        | Node::Column { .. } => Vec::new(),
        Node::Not(inner) | Node::Negate(inner) | Node::Convert(inner) | Node::Rank(inner) => vec![inner],
        Node::And(items) | Node::Or(items) | Node::Coalesce(items) => items.iter_mut().collect(),
        Node::Compare { left, right, .. } | Node::Arithmetic { left, right, .. } => vec![left, right],
        Node::IsNull { value, .. } | Node::JsonPath { value, .. } => vec![value],
        Node::In { value, items } => std::iter::once(&mut **value).chain(items).collect(),
        Node::InList { value, list } => vec![value, list],
        Node::Contains { value, needle } => vec![value, needle],
        Node::If { condition, then, otherwise } => vec![condition, then, otherwise],
        Node::Call { args, .. } => args.iter_mut().collect(),
        Node::Many(many) => many.body.iter_mut().collect(),
    };
    children.into_iter().for_each(|child| change(child, with));
}

fn askers() -> Vec<Asker> {
    let user = |number: usize, permissions: &[&str], roles: &[&str]| Asker {
        user: Some(key(number)),
        permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
        roles: roles.iter().map(|name| (*name).to_owned()).collect(),
        ..Asker::default()
    };
    // One who has just shown who they are, and a second factor a while ago.
    let shown = [1, 10].map(|minutes| Some(Timestamp(NOW.0 - minutes * 60_000_000)));
    let confirmed = Asker { confirmed: shown, ..user(2, &["a"], &["r"]) };
    vec![Asker::default(), user(1, &[], &[]), confirmed, user(3, &["b"], &[])]
}

/// How many expressions are asked of the rows of one database.
const EXPRESSIONS: usize = 48;
/// How many rows each of them is asked of.
const ROWS: usize = 6;
/// After so many disagreements there is enough to look at.
const FAILURES_MAX: usize = 10;

#[tokio::test]
async fn three_evaluators_agree() {
    for on in DatabaseKind::ALL {
        agree(*on).await;
    }
}

#[expect(clippy::unwrap_used, clippy::print_stdout, reason = "the body of a test")]
async fn agree(on: DatabaseKind) {
    let count = cases(on.share(4_000));
    let (mut done, mut answered, mut seed) = (0, 0, first_seed());
    let mut failures = Vec::new();
    while done < count {
        let mut dice = Dice::new(seed);
        let (schema, _) = rules_of(&[]);
        let table = schema.table_named("Thing").unwrap().id;
        let world = rows::world(&schema, &mut dice, 3, 7, true);
        let database = Database::open(on, schema.clone()).await.unwrap();
        database.fill(&world).await.unwrap();
        assert_eq!(database.world().await.unwrap(), world.clone().sorted(), "rows come back as they went in");
        let setting = Setting { database, world };
        let phrases: Vec<(Phrase, Form)> =
            (0..EXPRESSIONS).map(|_| phrase(&schema, &mut dice, table)).collect();
        let rules: Vec<usize> = (0..phrases.len()).filter(|at| phrases[*at].1 == Form::Rule).collect();
        let texts: Vec<String> = rules.iter().map(|at| phrases[*at].0.text()).collect();
        let (ruled, kept) = rules_of(&texts);
        let mut exprs: Vec<(usize, Expr)> = kept
            .iter()
            .zip(&ruled.table(table).rules)
            .map(|(at, rule)| (rules[*at], Expr::clone(rule.condition.as_ref().unwrap())))
            .collect();
        for (at, (phrase, form)) in phrases.iter().enumerate().filter(|(_, (_, form))| *form != Form::Rule) {
            exprs.extend(compile(&schema, table, &phrase.text(), *form).map(|expr| (at, expr)));
        }
        let askers = askers();
        let visible: Vec<Arc<Expr>> = [
            "m > 0",
            "title == null or role == low",
            "user.level != 2 or no",
            "children.none()",
            "signed_in",
        ]
        .iter()
        .map(|text| Arc::new(compile(&schema, table, text, Form::Filter).unwrap()))
        .collect();
        let rows = setting.world.rows(table);
        for (at, expr) in &exprs {
            for _ in 0..ROWS {
                let case = Case {
                    asker: dice.pick(&askers),
                    table,
                    row: dice.below(rows.len()),
                    old: rows[dice.below(rows.len())].as_slice(),
                    new: rows[dice.below(rows.len())].as_slice(),
                    visible: if dice.one_in(3) { Some(dice.pick(&visible).clone()) } else { None },
                };
                match setting.check(expr, &case).await {
                    Ok(was_answered) => answered += usize::from(was_answered),
                    Err(words) => {
                        let (phrase, form) = &phrases[*at];
                        failures.push(shrink(&setting, phrase, *form, &case, words, seed).await);
                        break;
                    }
                }
                done += 1;
            }
        }
        seed += 1;
        if failures.len() >= FAILURES_MAX {
            break;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    println!("{on:?}: {done} expressions on rows, {answered} with an answer");
    assert!(answered * 2 > done, "most expressions have a value");
}

fn phrase(schema: &Schema, dice: &mut Dice, table: TableId) -> (Phrase, Form) {
    let form = *dice.pick(&[Form::Rule, Form::Rule, Form::Filter, Form::Value]);
    let trusted = form == Form::Rule;
    let place = Place { images: trusted, trusted, extremes: true };
    let mut author = Author::new(schema, dice, table, place);
    let phrase = match form {
        Form::Value => {
            let kind = author.some_kind();
            author.value(&kind, 4).unwrap_or_else(|| author.condition(3))
        }
        _ => author.condition(4),
    };
    (phrase, form)
}

async fn shrink(
    setting: &Setting,
    phrase: &Phrase,
    form: Form,
    case: &Case<'_>,
    mut words: String,
    seed: u64,
) -> String {
    let schema = setting.database.engine.schema();
    let mut least = phrase.clone();
    'again: loop {
        for smaller in least.smaller() {
            let Some(expr) = compile(schema, case.table, &smaller.text(), form) else { continue };
            if let Err(found) = setting.check(&expr, case).await {
                (least, words) = (smaller, found);
                continue 'again;
            }
        }
        break;
    }
    let expr = compile(schema, case.table, &least.text(), form);
    let shown: Vec<String> = setting
        .world
        .rows(case.table)
        .iter()
        .map(|row| {
            let columns = &schema.table(case.table).columns;
            let shown = columns
                .iter()
                .zip(row)
                .map(|(column, value)| format!("{} = {}", column.name, value.to_json()));
            shown.collect::<Vec<_>>().join(", ")
        })
        .collect();
    format!(
        "seed {seed}: {form:?} {}\n{words}\nrow {}; visible: {}; caller: {:?}\n{}\n{expr:?}",
        least.text(),
        case.row + 1,
        case.visible.is_some(),
        case.asker,
        shown.join("\n"),
    )
}
