//! Values of a request as parameters of a plan.
//!
//! Beside each value stands where in the request it came from, so that the next request of the same shape can be
//! answered by the same plan with its own values.

use std::sync::Arc;

use mainstay_lang::expr::{Expr, Node};
use mainstay_lang::types::{EnumType, Type};
use mainstay_lang::value::Value;

use crate::expression::{expr, map_children};

/// Where a parameter's value comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The shape of the request and the settings alone decide it.
    Shape,
    /// The request's value at a place.
    Request {
        /// JSON pointer.
        path: String,
        /// How it is read.
        reading: Reading,
    },
    /// The request, in a way that is not kept.
    Once,
}

/// How a value of a request becomes a parameter.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    /// As a value of a storage type.
    Value(Type),
    /// As an enum's name, whose place in the declared order counts.
    Rank(Arc<EnumType>),
    /// As a number that the document has read already, up to a greatest one.
    Number(u64),
}

/// The parameters of a plan, numbered in the order in which they were added.
#[derive(Debug, Default)]
pub struct Params {
    values: Vec<Value>,
    sources: Vec<Source>,
}

impl Params {
    /// Adds a value of a storage type; the expression stands for it.
    pub fn add(&mut self, value: Value, ty: &Type) -> Expr {
        self.add_from(value, ty, Source::Once)
    }

    pub(crate) fn add_from(&mut self, value: Value, ty: &Type, source: Source) -> Expr {
        let index = u32::try_from(self.values.len()).expect("a request is smaller than 2^32 values");
        self.values.push(value);
        self.sources.push(source);
        expr(Node::Param(index), ty.clone())
    }

    /// The values in order.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The values in order.
    pub fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// The values in order, and where each comes from.
    pub(crate) fn into_parts(self) -> (Vec<Value>, Vec<Source>) {
        (self.values, self.sources)
    }

    /// An expression with parameters of its own, given in their order, as one with parameters of this plan.
    pub(crate) fn adopt(&mut self, of: &Expr, own: Vec<(Value, Type, Source)>) -> Expr {
        let places: Vec<Expr> =
            own.into_iter().map(|(value, ty, source)| self.add_from(value, &ty, source)).collect();
        replace(of, &places)
    }
}

fn replace(of: &Expr, places: &[Expr]) -> Expr {
    match of.node {
        // The type that the checker gave stays: it may be a reference to a table.
        Node::Param(index) => Expr { node: places[index as usize].node.clone(), ..of.clone() },
        _ => map_children(of, &mut |child, _| replace(child, places)),
    }
}
