//! Jobs as a capability: the table that an app may show, and what plugins say at their set-up.

use mainstay_engine::Clock;
use mainstay_engine::plugin::{Plugin, Setup};
use mainstay_lang::schema::Schema;

use crate::definition::{Definition, Definitions};
use crate::jobs::Queue;

/// The table of the capability: nobody may read it until the app says who.
pub const JOB_TABLE: &str = include_str!("job.stay");

/// The capability.
#[derive(Clone, Debug, Default)]
pub struct JobsPlugin {
    /// Whether the app shows its jobs (`use jobs`). Then each change of one is a line of the change log.
    pub is_shown: bool,
    /// What its queue takes for the time.
    pub clock: Clock,
}

impl Plugin for JobsPlugin {
    fn name(&self) -> &str {
        "jobs"
    }

    fn schema(&self) -> &str {
        if self.is_shown { JOB_TABLE } else { "" }
    }

    fn prerequisite(&self, schema: &Schema) -> Result<(), String> {
        let is_there = schema.tables.iter().any(|table| table.db_name == mainstay_sql::system::job::JOB.name);
        match (self.is_shown, is_there) {
            (true, false) => Err("its table is not among the app's".to_owned()),
            _ => Ok(()),
        }
    }

    fn build(&self, setup: &mut Setup<'_>) {
        // There is a queue also where no plugin has jobs.
        setup.part::<Definitions>();
        setup.part::<Queue>().clock = self.clock.clone();
    }
}

/// What plugins say of their jobs at their set-up.
pub trait JobSetup {
    /// Adds jobs of a name.
    fn job(&mut self, definition: Definition) -> &mut Self;

    /// How many jobs of a queue run at a time on all workers together.
    fn queue_limit(&mut self, queue: &str, limit: u32) -> &mut Self;
}

impl JobSetup for Setup<'_> {
    fn job(&mut self, definition: Definition) -> &mut Self {
        if self.schema().existing {
            let words =
                "it has jobs, and a database that others made (`app NAME existing`) has no queue for them";
            self.problem(words);
        } else if self.part::<Definitions>().get(definition.name()).is_ok() {
            self.problem(format!("there is a job `{}` already", definition.name()));
        } else {
            self.part::<Definitions>().add(definition);
        }
        self
    }

    fn queue_limit(&mut self, queue: &str, limit: u32) -> &mut Self {
        self.part::<Definitions>().queue_limit(queue, limit);
        self
    }
}

#[cfg(test)]
mod tests {
    use mainstay_lang::analyse::analyse;
    use mainstay_lang::source::Sources;
    use mainstay_sql::system::job::JOB;

    use super::JOB_TABLE;

    #[test]
    fn the_table_shows_every_column_as_it_is() {
        let mut sources = Sources::default();
        sources.add_platform("<jobs>", JOB_TABLE);
        let schema = analyse(&sources).schema.unwrap();
        let shown = schema.table_named("Job").unwrap();
        let describe =
            |name: &str, ty: &mainstay_lang::types::Type, nullable: bool| format!("{name} {ty:?} {nullable}");
        let shown: Vec<String> = shown
            .columns
            .iter()
            .map(|column| describe(&column.db_name, &column.ty, column.nullable))
            .collect();
        let there: Vec<String> =
            JOB.columns.iter().map(|column| describe(column.name, &column.ty, column.nullable)).collect();
        assert_eq!(shown, there);
    }
}
