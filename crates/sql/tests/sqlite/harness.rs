//! A schema from text, an SQLite database in memory that has it, and statements run on it.
//!
//! Registers the language's functions as a store does, binds from a [`Run`], and reads results by their shape, so that
//! tests compare answers. It is a reader of statements of its own: the store's must agree with the same shapes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mainstay_lang::analyse::analyse;
use mainstay_lang::expr::{CallerFact, Clock, Expr, Node};
use mainstay_lang::filter::{compile_filter, compile_value};
use mainstay_lang::ops::sqlite::{AGGREGATES, FUNCTIONS, SqlArg, SqlResult, SumState};
use mainstay_lang::schema::{ColumnId, RelationId, Schema, TableId};
use mainstay_lang::source::{Sources, Span};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::plan::{Order, Output, OutputKind, Select};
use mainstay_sql::statement::{Bind, Encoding, ResultShape, Statement};
use mainstay_sql::{SQLITE, ddl};
use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{ToSqlOutput, ValueRef};

pub(crate) const PRELUDE: &str = "\
table User { email text(320) unique trim lower match email, name text(200) trim, label name, allow read if id == user.id }
table Grant { user User on delete cascade, permission text(200), unique (user, permission) }
";

/// What a statement is run with.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) params: Vec<Value>,
    pub(crate) user: HashMap<(Vec<ColumnId>, ColumnId), Value>,
    pub(crate) caller: Vec<(CallerFact, Value)>,
    pub(crate) now: Option<Value>,
    pub(crate) old: HashMap<ColumnId, Value>,
    pub(crate) new: HashMap<ColumnId, Value>,
}

impl Run {
    pub(crate) fn params(params: &[Value]) -> Run {
        Run { params: params.to_vec(), ..Run::default() }
    }

    fn value(&self, bind: &Bind) -> Value {
        let value = match bind {
            Bind::Value(value) => Some(value),
            Bind::Param(index) => self.params.get(*index as usize),
            Bind::User { hops, column } => self.user.get(&(hops.clone(), *column)),
            Bind::Caller(fact) => self.caller.iter().find(|(known, _)| known == fact).map(|(_, value)| value),
            Bind::Clock(Clock::Now | Clock::Today) => self.now.as_ref(),
            Bind::Old(column) => self.old.get(column),
            Bind::New(column) => self.new.get(column),
        };
        value.cloned().unwrap_or(Value::Null)
    }
}

pub(crate) struct Db {
    pub(crate) schema: Schema,
    pub(crate) conn: Connection,
    /// Nested rows counted by `ms_row()` since the last read began.
    pub(crate) counted: Arc<AtomicUsize>,
    /// Keeps rows apart that nobody gave an id.
    made: RefCell<i64>,
}

/// The schema of an app, with the platform's tables.
pub(crate) fn schema(text: &str) -> Schema {
    let mut sources = Sources::default();
    sources.add_platform("<platform>", PRELUDE);
    sources.add("app.stay", text);
    let analysis = analyse(&sources);
    analysis.schema.unwrap_or_else(|| panic!("{:#?}", analysis.diagnostics))
}

impl Db {
    pub(crate) fn new(text: &str) -> Db {
        let schema = schema(text);
        let conn = Connection::open_in_memory().unwrap();
        let counted = register(&conn);
        conn.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        for statement in ddl::create_schema(&schema, SQLITE) {
            conn.execute_batch(&statement).unwrap_or_else(|error| panic!("{statement}\n{error}"));
        }
        Db { schema, conn, counted, made: RefCell::new(0) }
    }

    pub(crate) fn table(&self, name: &str) -> TableId {
        self.schema.table_named(name).unwrap_or_else(|| panic!("no table {name}")).id
    }

    pub(crate) fn column(&self, table: &str, name: &str) -> ColumnId {
        let table = self.schema.table_named(table).unwrap();
        table.column_named(name).unwrap_or_else(|| panic!("no column {name}")).id
    }

    pub(crate) fn relation(&self, table: &str, name: &str) -> RelationId {
        let table = self.schema.table_named(table).unwrap();
        table.relation_named(name).unwrap_or_else(|| panic!("no relation {name}")).id
    }

    /// A condition on a table's rows, from text.
    pub(crate) fn filter(&self, table: &str, text: &str) -> Expr {
        let filter = compile_filter(&self.schema, self.table(table), text);
        filter.unwrap_or_else(|problems| panic!("{text}: {problems:#?}")).condition
    }

    /// A value of a table's rows, from text.
    pub(crate) fn value(&self, table: &str, text: &str) -> Expr {
        compile_value(&self.schema, self.table(table), text)
            .unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    /// `[-]text [nulls first]`
    pub(crate) fn order(&self, table: &str, text: &str) -> Order {
        let (text, nulls_first) = match text.strip_suffix(" nulls first") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (text, descending) = match text.strip_prefix('-') {
            Some(text) => (text, true),
            None => (text, false),
        };
        Order { by: self.value(table, text), descending, nulls_first }
    }

    /// A read of columns and no more.
    pub(crate) fn select(&self, table: &str, columns: &[&str]) -> Select {
        let outputs = columns.iter().map(|name| output(name, OutputKind::Column(self.column(table, name))));
        Select {
            table: self.table(table),
            filter: Vec::new(),
            outputs: outputs.collect(),
            order: Vec::new(),
            limit: None,
            offset: None,
            after: None,
            paged: false,
            cursor_tag: "tag".to_owned(),
        }
    }

    /// Inserts a row from `column: wire JSON` pairs; other columns are null, or their literal default.
    pub(crate) fn insert(&self, table: &str, values: &[(&str, &str)]) -> String {
        let of = self.schema.table_named(table).unwrap();
        *self.made.borrow_mut() += 1;
        let made = *self.made.borrow();
        let params: Vec<Value> = of
            .columns
            .iter()
            .map(|column| {
                let ty = self.schema.storage_type(&column.ty);
                let given = values.iter().find(|(name, _)| *name == column.name);
                match (given, &column.default, column.name.as_str()) {
                    (Some((_, raw)), _, _) => Value::from_json(raw, ty).unwrap(),
                    (None, _, "id") if *ty == Type::Int => Value::Int(made),
                    (None, _, "id") => Value::from_json(&format!("\"{}\"", uuid(made)), ty).unwrap(),
                    (None, _, "created" | "updated") => {
                        Value::from_json("\"2026-01-01T00:00:00.000000Z\"", ty).unwrap()
                    }
                    (None, Some(Expr { node: Node::Literal(value), .. }), _) => value.clone(),
                    _ => Value::Null,
                }
            })
            .collect();
        self.write(&mainstay_sql::insert(&self.schema, SQLITE, of.id), &Run::params(&params));
        params[0].to_json().trim_matches('"').to_owned()
    }

    pub(crate) fn link(&self, table: &str, relation: &str, owner: &str, target: &str) -> usize {
        let table = self.schema.table_named(table).unwrap();
        let relation = table.relation_named(relation).unwrap();
        let mainstay_lang::schema::RelationKind::Link(link) = &relation.kind else { panic!("no link") };
        let key = |table: TableId, text: &str| {
            let ty = self.schema.key_type(table);
            let raw = if *ty == Type::Int { text.to_owned() } else { format!("\"{text}\"") };
            Value::from_json(&raw, ty).unwrap()
        };
        let run = Run::params(&[key(link.owner, owner), key(link.target, target)]);
        self.write(&mainstay_sql::link(&self.schema, SQLITE, link), &run)
    }

    pub(crate) fn write(&self, statement: &Statement, run: &Run) -> usize {
        let mut prepared = self.prepare(statement, run);
        prepared.raw_execute().unwrap()
    }

    fn prepare(&self, statement: &Statement, run: &Run) -> rusqlite::Statement<'_> {
        let prepared = self.conn.prepare(&statement.sql);
        let mut prepared = prepared.unwrap_or_else(|error| panic!("{error}\n{}", statement.sql));
        assert_eq!(prepared.parameter_count(), statement.binds.len(), "{}", statement.sql);
        for (index, bind) in statement.binds.iter().enumerate() {
            let value = run.value(bind).to_sql();
            prepared.raw_bind_parameter(index + 1, Owned(value)).unwrap();
        }
        prepared
    }

    /// Typed values of every row.
    pub(crate) fn values(&self, statement: &Statement, run: &Run) -> Vec<Vec<Value>> {
        self.try_values(statement, run).unwrap_or_else(|error| panic!("{error}\n{}", statement.sql))
    }

    pub(crate) fn try_values(
        &self,
        statement: &Statement,
        run: &Run,
    ) -> Result<Vec<Vec<Value>>, rusqlite::Error> {
        let ResultShape::Values(types) = &statement.result else { panic!("not values") };
        let mut prepared = self.prepare(statement, run);
        let mut rows = prepared.raw_query();
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let value = |(index, ty)| Value::from_sql(arg(row.get_ref(index).unwrap()), ty).unwrap();
            all.push(types.iter().enumerate().map(value).collect());
        }
        Ok(all)
    }

    /// The rows as JSON texts, and the cursors when there are any.
    pub(crate) fn json(&self, statement: &Statement, run: &Run) -> (Vec<String>, Vec<String>) {
        let ResultShape::Json(shape) = &statement.result else { panic!("not json") };
        self.counted.store(0, Ordering::Relaxed);
        let mut prepared = self.prepare(statement, run);
        let mut rows = prepared.raw_query();
        let (mut texts, mut cursors) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{error}\n{}", statement.sql)) {
            let mut at = 0;
            let mut next = || {
                at += 1;
                row.get_ref(at - 1).unwrap()
            };
            let mut members = Vec::new();
            for member in &shape.members {
                let is_shown = !member.guarded || next() == ValueRef::Integer(1);
                let value = next();
                let text = match (&member.encoding, value) {
                    (_, ValueRef::Null) => "null".to_owned(),
                    (Encoding::Raw, value) => value.as_str().unwrap().to_owned(),
                    (Encoding::Typed(ty), value) => Value::from_sql(arg(value), ty).unwrap().to_json(),
                };
                if is_shown {
                    members.push(format!("{}{text}", member.key));
                }
            }
            if let Some(cursor) = &shape.cursor {
                let values = cursor.values.iter().map(|ty| Value::from_sql(arg(next()), ty).unwrap());
                let values = Value::List(values.collect()).to_json();
                cursors.push(mainstay_lang::ops::cursor::encode(&cursor.tag, &values));
            }
            texts.push(format!("{{{}}}", members.join(",")));
        }
        (texts, cursors)
    }

    /// The rows that a select gives, as one JSON array; checked to be JSON.
    pub(crate) fn rows(&self, select: &Select) -> String {
        self.rows_with(select, &Run::default())
    }

    pub(crate) fn rows_with(&self, select: &Select, run: &Run) -> String {
        let statement = mainstay_sql::select(&self.schema, SQLITE, select);
        let text = format!("[{}]", self.json(&statement, run).0.join(","));
        Value::from_json(&text, &Type::Json).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        text
    }

    /// The plan that SQLite makes for a statement, a line for each step.
    pub(crate) fn plan(&self, statement: &Statement) -> String {
        let mut prepared = self.conn.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.sql)).unwrap();
        let mut rows = prepared.raw_query();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            lines.push(row.get::<_, String>(3).unwrap());
        }
        lines.join("\n")
    }
}

/// An output without a guard.
pub(crate) fn output(name: &str, kind: OutputKind) -> Output {
    Output { name: name.to_owned(), kind, guard: None }
}

pub(crate) fn int(value: i64) -> Expr {
    Expr { node: Node::Literal(Value::Int(value)), ty: Type::Int, span: Span::default() }
}

pub(crate) fn param(index: u32, ty: &Type) -> Expr {
    Expr { node: Node::Param(index), ty: ty.clone(), span: Span::default() }
}

/// The uuid of a number.
pub(crate) fn uuid(number: i64) -> String {
    format!("01900000-0000-7000-8000-{number:012}")
}

struct Owned(SqlResult);

impl rusqlite::ToSql for Owned {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match &self.0 {
            SqlResult::Null => ValueRef::Null,
            SqlResult::Int(value) => ValueRef::Integer(*value),
            SqlResult::Real(value) => ValueRef::Real(*value),
            SqlResult::Text(value) => ValueRef::Text(value.as_bytes()),
            SqlResult::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

fn arg(value: ValueRef<'_>) -> SqlArg<'_> {
    match value {
        ValueRef::Null => SqlArg::Null,
        ValueRef::Integer(value) => SqlArg::Int(value),
        ValueRef::Real(value) => SqlArg::Real(value),
        ValueRef::Text(value) => SqlArg::Text(std::str::from_utf8(value).unwrap()),
        ValueRef::Blob(value) => SqlArg::Blob(value),
    }
}

fn args<'c>(context: &'c Context<'_>) -> Vec<SqlArg<'c>> {
    (0..context.len()).map(|index| arg(context.get_raw(index))).collect()
}

fn owned(result: Result<SqlResult, mainstay_lang::ops::OpError>) -> rusqlite::Result<rusqlite::types::Value> {
    use rusqlite::types::Value as Sql;
    match result {
        Ok(SqlResult::Null) => Ok(Sql::Null),
        Ok(SqlResult::Int(value)) => Ok(Sql::Integer(value)),
        Ok(SqlResult::Real(value)) => Ok(Sql::Real(value)),
        Ok(SqlResult::Text(value)) => Ok(Sql::Text(value)),
        Ok(SqlResult::Blob(value)) => Ok(Sql::Blob(value)),
        Err(error) => Err(rusqlite::Error::UserFunctionError(error.into())),
    }
}

struct Summing(mainstay_lang::ops::sqlite::SqlAggregate);

impl Aggregate<SumState, rusqlite::types::Value> for Summing {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<SumState> {
        Ok(SumState::default())
    }

    fn step(&self, context: &mut Context<'_>, state: &mut SumState) -> rusqlite::Result<()> {
        let step = (self.0.step)(state, &args(context));
        step.map_err(|error| rusqlite::Error::UserFunctionError(error.into()))
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        state: Option<SumState>,
    ) -> rusqlite::Result<rusqlite::types::Value> {
        owned((self.0.finish)(&state.unwrap_or_default()))
    }
}

fn register(conn: &Connection) -> Arc<AtomicUsize> {
    let pure =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    for function in FUNCTIONS {
        let call = function.call;
        let scalar = move |context: &Context<'_>| owned(call(&args(context)));
        conn.create_scalar_function(function.name, function.args, pure, scalar).unwrap();
    }
    for aggregate in AGGREGATES {
        conn.create_aggregate_function(aggregate.name, aggregate.args, pure, Summing(*aggregate)).unwrap();
    }
    let counted = Arc::new(AtomicUsize::new(0));
    let counter = counted.clone();
    let count = move |_: &Context<'_>| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok("")
    };
    conn.create_scalar_function("ms_row", 0, FunctionFlags::SQLITE_UTF8, count).unwrap();
    counted
}
