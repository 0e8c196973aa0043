//! Jobs as a capability: the table that an app may show, and what plugins say at their set-up.

/// The table of the capability, for an app that says `use jobs`: nobody may read it until the app says who.
pub const JOB_TABLE: &str = include_str!("job.stay");
