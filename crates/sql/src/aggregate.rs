//! Aggregates: values computed over groups of rows, at the top level or over the rows of a relation.
//!
//! Groups are computed in a derived table whose columns are the items in order, `c0`, `c1`…; sorting and cutting stand
//! outside, where an item is a plain column. Groups not named in the order come last in it, so that it is total.

use mainstay_lang::expr::Ask;
use mainstay_lang::filter::AggregateFunction;
use mainstay_lang::schema::Schema;
use mainstay_lang::types::Type;

use crate::dialect::{Counted, Dialect, Operator, RowCounting};
use crate::expr::{Relatives, is_never_null};
use crate::plan::{Aggregate, AggregateOrder, Computed};
use crate::select::json::{Pieces, key, member_key};
use crate::statement::{Encoding, JsonMember, JsonShape, Length, ResultShape, Statement};
use crate::writer::{ScopeId, Writer};

/// An aggregate over a table's rows; its result is [`ResultShape::Json`], one object for each group.
pub fn aggregate(schema: &Schema, dialect: &dyn Dialect, aggregate: &Aggregate) -> Statement {
    let mut w = Writer::new(schema, dialect);
    let alias = w.alias();
    let scope = w.scope(&alias, aggregate.table, None);
    let items = items(schema, aggregate);
    let outer = w.alias();
    w.text("SELECT ");
    w.separated(", ", 0..items.len(), |w, index| w.item(&outer, index));
    w.text(" FROM (SELECT ");
    w.group_columns(aggregate, scope);
    w.text(" FROM ");
    w.table(aggregate.table, &alias);
    w.conditions_to_find(scope, &aggregate.filter);
    w.group_by(aggregate);
    w.text(") ");
    w.text(&outer);
    w.group_order(aggregate, &items, &outer);
    let members = items
        .into_iter()
        .map(|item| JsonMember {
            key: member_key(item.name),
            encoding: Encoding::Typed(item.ty),
            guarded: false,
        })
        .collect();
    w.finish(ResultShape::Json(JsonShape {
        members,
        cursor: None,
        probes_more: None,
        row_cap: None,
        below: None,
        length: Length::default(),
    }))
}

/// A column of the group rows.
struct Item<'a> {
    name: &'a str,
    ty: Type,
    nullable: bool,
}

fn items<'a>(schema: &Schema, aggregate: &'a Aggregate) -> Vec<Item<'a>> {
    let groups = aggregate.groups.iter().map(|(name, by)| Item {
        name,
        ty: schema.storage_type(&by.ty).clone(),
        nullable: !is_never_null(schema, by),
    });
    let values = aggregate.values.iter().map(|(name, computed)| Item {
        name,
        ty: computed_type(schema, computed),
        nullable: !matches!(computed.function, AggregateFunction::Sum | AggregateFunction::Count),
    });
    groups.chain(values).collect()
}

fn computed_type(schema: &Schema, computed: &Computed) -> Type {
    match (&computed.function, &computed.of) {
        (AggregateFunction::Count, _) | (_, None) => Type::Int,
        (AggregateFunction::Avg, _) => Type::Float,
        (_, Some(of)) => schema.storage_type(&of.ty).clone(),
    }
}

impl Writer<'_> {
    /// The group rows over a relation's rows, as a JSON array in a scalar subselect.
    pub(crate) fn group_rows(&mut self, aggregate: &Aggregate, rows: &Relatives) {
        let source = self.scope(&rows.alias, rows.target, rows.key.clone());
        let items = items(self.schema, aggregate);
        let (groups, object) = (self.alias(), self.alias());
        let columns = self.capture(|w| w.group_columns(aggregate, source));
        let conditions = self.capture(|w| w.conditions(source, &aggregate.filter, false));
        self.text("(SELECT concat('[', string_agg(");
        self.group_object(&items, &object);
        self.end_list(Counted::WhenLong);
        self.text(" FROM (SELECT * FROM (SELECT ");
        self.text(&columns);
        self.related_from(rows, &[source]);
        self.text(" WHERE ");
        self.text(&rows.tie);
        self.text(&conditions);
        self.group_by(aggregate);
        self.text(") ");
        self.text(&groups);
        self.group_order(aggregate, &items, &groups);
        self.text(") ");
        self.text(&object);
        self.text(")");
    }

    fn group_object(&mut self, items: &[Item<'_>], alias: &str) {
        let mut pieces = Pieces::default();
        pieces.literal("{");
        for (index, item) in items.iter().enumerate() {
            pieces.literal(if index == 0 { "" } else { "," });
            pieces.literal(&key(item.name));
            let value = self.capture(|w| w.item(alias, index));
            pieces.value(self, &item.ty, item.nullable, &value);
        }
        if let RowCounting::Mark(mark) = self.dialect.row_counting() {
            pieces.literal(mark);
        }
        pieces.literal("}");
        self.concat(&pieces);
    }

    fn item(&mut self, alias: &str, index: usize) {
        self.text(alias);
        self.text(".c");
        self.number(index);
    }

    fn group_columns(&mut self, aggregate: &Aggregate, scope: ScopeId) {
        let mut index = 0;
        let mut name = |w: &mut Self| {
            w.text(" AS c");
            w.number(index);
            index += 1;
        };
        self.separated(", ", &aggregate.groups, |w, (_, by)| {
            w.alone(scope, |w| w.expr(by));
            name(w);
        });
        self.text(if aggregate.groups.is_empty() || aggregate.values.is_empty() { "" } else { ", " });
        self.separated(", ", &aggregate.values, |w, (_, computed)| {
            w.alone(scope, |w| w.aggregate_value(computed));
            name(w);
        });
    }

    fn aggregate_value(&mut self, computed: &Computed) {
        let Some(of) = &computed.of else { return self.text("count(*)") };
        let value = self.capture(|w| w.expr(of));
        match computed.function {
            AggregateFunction::Sum => self.computed(Ask::Sum, of, &value),
            AggregateFunction::Min => self.computed(Ask::Min, of, &value),
            AggregateFunction::Max => self.computed(Ask::Max, of, &value),
            AggregateFunction::Count => {
                self.text("count(");
                self.text(&value);
                self.text(")");
            }
            AggregateFunction::Avg => {
                let ty = self.schema.storage_type(&of.ty);
                let template = self.dialect.operator(Operator::Avg(ty));
                self.template(&template, |w, _| w.text(&value));
            }
        }
    }

    /// By place: a repeated expression with placeholders in it is not the same expression to every database.
    fn group_by(&mut self, aggregate: &Aggregate) {
        if aggregate.groups.is_empty() {
            return;
        }
        self.text(" GROUP BY ");
        self.separated(", ", 1..=aggregate.groups.len(), Writer::number);
    }

    fn group_order(&mut self, aggregate: &Aggregate, items: &[Item<'_>], alias: &str) {
        let asked = |index: &usize| aggregate.order.iter().any(|order| order.item == *index);
        let rest = (0..aggregate.groups.len()).filter(|index| !asked(index));
        let rest = rest.map(|item| AggregateOrder { item, descending: false, nulls_first: false });
        let order: Vec<AggregateOrder> = aggregate.order.iter().cloned().chain(rest).collect();
        if !order.is_empty() {
            self.text(" ORDER BY ");
        }
        self.separated(", ", order, |w, order| {
            let item = &items[order.item];
            let value = w.capture(|w| w.item(alias, order.item));
            match &item.ty {
                Type::Enum(of) => w.rank_of(of, &value),
                ty => w.in_order(ty, &value),
            }
            w.text(if order.descending { " DESC" } else { "" });
            if item.nullable {
                w.text(w.dialect.nulls(order.descending, order.nulls_first));
            }
        });
        self.limit(aggregate.limit.as_ref(), aggregate.offset.as_ref(), false);
    }
}
