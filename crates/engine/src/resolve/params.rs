//! Values of a request as parameters of a plan.

use mainstay_lang::expr::{Expr, Node};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::expression::expr;

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
}
