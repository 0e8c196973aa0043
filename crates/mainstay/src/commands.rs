//! One module for each command; each has a `run` that does it and fails with words for people.

pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod fmt;
pub(crate) mod import;
pub(crate) mod jobs;
pub(crate) mod migrate;
pub(crate) mod move_;
pub(crate) mod new;
pub(crate) mod plugin;
pub(crate) mod pull;
pub(crate) mod query;
pub(crate) mod restore;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod triggers;
pub(crate) mod user;
pub(crate) mod why;
pub(crate) mod work;
