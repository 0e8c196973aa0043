//! Stands in for the engine until it is there.

use std::sync::Arc;

use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::error::Error;
use mainstay_engine::part::Operation;
use mainstay_engine::response::Response;
use mainstay_lang::schema::Schema;
use mainstay_lang::value::Value;

/// Stands in for the engine.
pub struct Engine {
    schema: Arc<Schema>,
}

impl Engine {
    pub(crate) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    pub(crate) async fn execute(&self, _ctx: &Ctx, _operation: &Operation) -> Result<Response, Error> {
        Err(Error::internal("no engine yet"))
    }

    pub(crate) async fn caller(&self, _user: &Value) -> Result<Option<Caller>, Error> {
        Err(Error::internal("no engine yet"))
    }

    pub(crate) async fn ready(&self) -> Result<(), Error> {
        Ok(())
    }
}

pub(crate) use mainstay_engine::document::{parse, parse_rows};
pub(crate) use mainstay_lang::suggest::nearest;

pub(crate) fn render(_response: &Response, _was_array: bool) -> String {
    String::new()
}
