//! The word for code of an app: what holds for the tenant of a request or a job, from memory.

use mainstay_engine::ctx::Ctx;
use mainstay_engine::error::Error;
use mainstay_engine::hook::HookCtx;
use mainstay_engine::plugin::Parts;
use mainstay_http::RequestCtx;
use mainstay_jobs::Running;
use serde::de::DeserializeOwned;

use crate::held::Flags;

/// Flags and settings where code runs: in hooks, in handlers of routes, in jobs.
pub trait ReadFlags {
    /// Whether a flag is on.
    ///
    /// # Errors
    /// When the app declares no such flag: a fault of the code.
    fn flag(&self, name: &str) -> Result<bool, Error>;

    /// The value of a setting.
    ///
    /// # Errors
    /// When the app declares no such setting, or the type cannot hold its values: a fault of the code.
    fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error>;
}

impl ReadFlags for (&Parts, &Ctx) {
    fn flag(&self, name: &str) -> Result<bool, Error> {
        Flags::of(self.0)?.flag(name, self.1.tenant.as_ref())
    }

    fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        Flags::of(self.0)?.setting(name, self.1.tenant.as_ref())
    }
}

impl ReadFlags for HookCtx {
    fn flag(&self, name: &str) -> Result<bool, Error> {
        (&**self.parts(), self.request()).flag(name)
    }

    fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        (&**self.parts(), self.request()).setting(name)
    }
}

impl ReadFlags for RequestCtx {
    fn flag(&self, name: &str) -> Result<bool, Error> {
        (&**self.engine.parts(), &self.ctx).flag(name)
    }

    fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        (&**self.engine.parts(), &self.ctx).setting(name)
    }
}

impl ReadFlags for Running {
    fn flag(&self, name: &str) -> Result<bool, Error> {
        (&**self.engine().parts(), &self.ctx()).flag(name)
    }

    fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        (&**self.engine().parts(), &self.ctx()).setting(name)
    }
}
