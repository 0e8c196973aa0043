//! Names and values of a request, looked up in the schema: parts become conditions and plans.
//!
//! Pure: nothing here asks a database. Conditions still see all rows until [`crate::guard::Guard`] has rewritten them,
//! so that they can be moved to another row before; a finished plan sees what the caller may. Values never stand in an
//! expression but as parameters, so that requests of one shape make one statement.

mod aggregate;
pub mod constraint;
mod cursor;
mod keyword;
pub mod name;
mod order;
pub(crate) mod output;
pub(crate) mod params;
pub(crate) mod read;
pub(crate) mod text;

use mainstay_lang::schema::Schema;

pub use self::params::Params;
pub use self::read::{PartPlan, ReadPlan};
use crate::catalog::Catalog;
use crate::error::{Error, Key};
use crate::guard::Guard;
use crate::limits::Limits;

/// Looks up the names of a request's parts, collecting the parameters of a plan.
#[derive(Debug)]
pub struct Resolver<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) guard: Guard<'a>,
    /// Values of the request in the order of the parameters in the expressions made so far.
    pub params: Params,
    limits: Limits,
    depth: usize,
    parts: usize,
}

impl<'a> Resolver<'a> {
    /// A resolver for a caller.
    pub fn new(catalog: &'a Catalog, guard: Guard<'a>, limits: Limits) -> Resolver<'a> {
        Resolver { schema: catalog.schema(), guard, params: Params::default(), limits, depth: 0, parts: 0 }
    }

    /// Goes one level down, within the limits.
    fn nested<T>(
        &mut self,
        path: &str,
        resolve: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.depth += 1;
        self.parts += 1;
        if self.depth > self.limits.depth {
            let words = format!("parts may be nested {} levels deep", self.limits.depth);
            return Err(Error::at(Key::Limit, path, "depth", words));
        }
        if self.parts > self.limits.parts {
            let words = format!("a request may have {} parts", self.limits.parts);
            return Err(Error::at(Key::Limit, path, "parts", words));
        }
        let resolved = resolve(self)?;
        self.depth -= 1;
        Ok(resolved)
    }
}
