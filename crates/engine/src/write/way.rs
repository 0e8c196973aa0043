//! How a write is carried out, and how once more where it has to be.

use super::run::PutOff;

/// How a run goes about its request. One that follows another is more careful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By one statement, which has not been kept yet.
    Outright,
    /// A row that is changed may be glanced at.
    Glancing,
    /// A row that is changed is held: there were others who write it.
    Holding,
    /// Everything is asked at its place.
    Thorough,
}

/// What is to be known of the last run.
#[derive(Default)]
pub(super) struct LastRun {
    /// None: there was none.
    pub(super) way: Option<Way>,
    /// Whether it takes a thorough one to tell what was refused.
    pub(super) is_vague: bool,
    /// Writes that go out with the commit.
    pub(super) put_off: Vec<PutOff>,
}

impl LastRun {
    /// How the next one begins.
    pub(super) fn next_way(&self) -> Way {
        match self.way {
            None => Way::Outright,
            Some(Way::Outright) => Way::Glancing,
            Some(Way::Glancing | Way::Holding) => Way::Holding,
            Some(Way::Thorough) => Way::Thorough,
        }
    }
}
