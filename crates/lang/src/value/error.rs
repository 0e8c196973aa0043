//! Why a text or a JSON value is no value of a type.
//!
//! The kind is stable and machine-readable; the message completes a sentence that starts with the column's name. A
//! message never repeats what was given: that may be a secret, and messages are logged.

use crate::suggest;
use crate::types::EnumType;

/// A value that its type cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValueError {
    /// What is wrong.
    pub kind: ValueErrorKind,
    /// For people: `must be a whole number`.
    pub message: String,
}

/// What can be wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueErrorKind {
    /// Another kind of JSON value than the type wants.
    Type,
    /// Too large, too small or too long.
    Range,
    /// U+0000 in a text, which databases do not keep.
    Nul,
    /// A name that the enum does not declare.
    Enum,
    /// Text that is not in the form of the type.
    Format,
    /// More digits after the point than the type keeps.
    Scale,
}

impl ValueErrorKind {
    /// Its stable name.
    pub fn key(self) -> &'static str {
        match self {
            ValueErrorKind::Type => "type",
            ValueErrorKind::Range => "range",
            ValueErrorKind::Nul => "nul",
            ValueErrorKind::Enum => "enum",
            ValueErrorKind::Format => "format",
            ValueErrorKind::Scale => "scale",
        }
    }
}

impl ValueError {
    pub(super) fn new(kind: ValueErrorKind, message: impl Into<String>) -> ValueError {
        ValueError { kind, message: message.into() }
    }

    pub(super) fn format(message: impl Into<String>) -> ValueError {
        ValueError::new(ValueErrorKind::Format, message)
    }

    pub(super) fn range(message: impl Into<String>) -> ValueError {
        ValueError::new(ValueErrorKind::Range, message)
    }

    pub(super) fn nul() -> ValueError {
        ValueError::new(ValueErrorKind::Nul, "must not contain the character U+0000")
    }

    /// `given` is a name that `of` does not declare. Names near it are offered, so this one does look at the value.
    pub(super) fn unknown_name(of: &EnumType, given: &str) -> ValueError {
        let mut message = format!("must be one of {}", of.values.join(", "));
        if let Some(near) = suggest::nearest(given, of.values.iter().map(String::as_str)) {
            message.push_str(&format!("; did you mean \"{near}\"?"));
        }
        ValueError::new(ValueErrorKind::Enum, message)
    }

    /// The same for the item at `index` (from 0) of a list.
    pub(super) fn in_item(self, index: usize) -> ValueError {
        ValueError { kind: self.kind, message: format!("item {}: {}", index + 1, self.message) }
    }
}
