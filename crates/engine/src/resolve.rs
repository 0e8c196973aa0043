//! Names and values of a request, looked up in the schema: parts become conditions and plans.
//!
//! Pure: nothing here asks a database. What comes out still sees all rows until [`crate::guard::Guard`] has rewritten
//! it; the functions whose names say `seen` have done so. Values never stand in an expression but as parameters, so that
//! requests of one shape make one statement.

pub mod constraint;
pub mod name;
pub mod params;

use crate::catalog::Catalog;
use crate::guard::Guard;
use mainstay_lang::schema::Schema;

use self::params::Params;

/// Looks up the names of one plan, collecting its parameters.
#[derive(Debug)]
pub struct Resolver<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) guard: Guard<'a>,
    /// Values of the request in the order of the parameters in the expressions made so far.
    pub params: Params,
}

impl<'a> Resolver<'a> {
    /// A resolver for a caller.
    pub fn new(catalog: &'a Catalog, guard: Guard<'a>) -> Resolver<'a> {
        Resolver { schema: catalog.schema(), guard, params: Params::default() }
    }
}
