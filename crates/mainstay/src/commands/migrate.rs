//! `mainstay migrate`: what is different is planned into files, files are applied to a database, and a database is asked where it
//! stands.

mod apply;
mod plan;
mod status;

use anyhow::Result;

use crate::cli::MigrateCommand;
use crate::output::Output;

/// Runs one of the family.
pub(crate) fn run(output: Output, command: &MigrateCommand) -> Result<()> {
    match command {
        MigrateCommand::Plan { app, plan } => plan::run(output, app, plan),
        MigrateCommand::Apply { app, apply } => apply::run(output, app, apply),
        MigrateCommand::Status { app } => status::run(output, app),
    }
}
