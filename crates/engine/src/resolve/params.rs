//! Values of a request as parameters of a plan.

use mainstay_lang::expr::{Expr, Node};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::expression::{expr, map_children};

/// The parameters of a plan, numbered in the order in which they were added.
#[derive(Debug, Default)]
pub struct Params {
    values: Vec<Value>,
}

impl Params {
    /// Adds a value of a storage type; the expression stands for it.
    pub fn add(&mut self, value: Value, ty: &Type) -> Expr {
        let index = u32::try_from(self.values.len()).expect("a request is smaller than 2^32 values");
        self.values.push(value);
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

    /// An expression with parameters of its own, given in their order, as one with parameters of this plan.
    pub(crate) fn adopt(&mut self, of: &Expr, own: Vec<(Value, Type)>) -> Expr {
        let places: Vec<Expr> = own.into_iter().map(|(value, ty)| self.add(value, &ty)).collect();
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
