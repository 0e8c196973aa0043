//! Values that hooks of one request leave for each other.

use std::any::{Any, TypeId};
use std::collections::HashMap;

use parking_lot::Mutex;

/// One value for each type; they go with the request.
#[derive(Default)]
pub struct Local(Mutex<HashMap<TypeId, Box<dyn Any + Send>>>);

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Local({})", self.0.lock().len())
    }
}

impl Local {
    /// Leaves a value; answers the one of its type that was there.
    pub fn set<T: Send + 'static>(&self, value: T) -> Option<T> {
        let before = self.0.lock().insert(TypeId::of::<T>(), Box::new(value))?;
        before.downcast().ok().map(|value| *value)
    }

    /// The value of a type that was left.
    pub fn get<T: Clone + 'static>(&self) -> Option<T> {
        self.0.lock().get(&TypeId::of::<T>()).and_then(|value| value.downcast_ref().cloned())
    }

    /// Changes the value of a type; the first who asks makes it. Not to be held for long: others wait.
    pub fn change<T: Default + Send + 'static, R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut values = self.0.lock();
        let value = values.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(T::default()));
        change(value.downcast_mut().expect("each value stands under its own type"))
    }

    /// The request begins anew.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}
