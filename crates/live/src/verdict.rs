//! What a line of the change log is to a view that is decided from images alone.

use std::sync::Arc;

use mainstay_engine::error::Error;
use mainstay_engine::{Change, ChangeKind};

use crate::queue::ChangeOf;
use crate::view::{Local, Unshown, View};

/// What becomes of a line.
#[derive(Clone)]
pub(crate) enum Verdict {
    /// It does not show.
    Nothing,
    /// The row, as it is to be sent.
    Tell(ChangeOf, Arc<str>),
    /// The images do not say: whoever wants to know has to read.
    Missing,
    /// It cannot be computed.
    Failed(Box<Error>),
}

impl Verdict {
    /// Of a line of the view's own table.
    pub(crate) fn of(view: &View, local: &Local, change: &Change) -> Verdict {
        let ChangeKind::Row { before, after } = &change.kind else { return Verdict::Nothing };
        if let (Some(before), Some(after)) = (before, after)
            && local.is_untouched(before, after)
        {
            return Verdict::Nothing;
        }
        let shown = view.show(local, before.as_ref()).and_then(|before| {
            let after = view.show(local, after.as_ref())?;
            Ok((before, after))
        });
        match shown {
            Ok((None, None)) => Verdict::Nothing,
            Ok((Some(before), Some(after))) if before == after => Verdict::Nothing,
            Ok((None, Some(after))) => Verdict::Tell(ChangeOf::Enter, after.into()),
            Ok((Some(_), Some(after))) => Verdict::Tell(ChangeOf::Update, after.into()),
            Ok((Some(_), None)) => Verdict::Tell(ChangeOf::Leave, key_alone(&change.key.to_json())),
            Err(Unshown::Missing) => Verdict::Missing,
            Err(Unshown::Failed(error)) => Verdict::Failed(Box::new(error)),
        }
    }
}

/// What is told of a row that has left.
pub(crate) fn key_alone(key: &str) -> Arc<str> {
    format!("{{\"id\":{key}}}").into()
}
