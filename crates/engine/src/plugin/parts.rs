//! Values by their type: what plugins hand to crates that the engine does not know.
//!
//! `http` finds its routes here and `jobs` its handlers; a plugin may keep its own state here and find it again in its hooks.
//! One value of each type; nothing is changed any more once the app is open.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;

/// One value for each type.
#[derive(Default)]
pub struct Parts(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parts({})", self.0.len())
    }
}

impl Parts {
    /// Puts a value in the place of its type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(value));
    }

    /// The value of a type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>()).and_then(|value| value.downcast_ref())
    }

    /// The value of a type, to be added to; the first who asks makes it.
    pub fn of<T: Default + Send + Sync + 'static>(&mut self) -> &mut T {
        let value = self.0.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(T::default()));
        value.downcast_mut().unwrap_or_else(|| unreachable!("{} stands under its own type", type_name::<T>()))
    }
}

#[cfg(test)]
mod tests {
    use super::Parts;

    #[test]
    fn values_are_found_by_their_type() {
        let mut parts = Parts::default();
        parts.of::<Vec<u8>>().push(1);
        parts.of::<Vec<u8>>().push(2);
        parts.insert("text");
        assert_eq!(parts.get::<Vec<u8>>(), Some(&vec![1, 2]));
        assert_eq!(parts.get::<&str>(), Some(&"text"));
        assert_eq!(parts.get::<u8>(), None);
    }
}
