//! A database that others made has no queue, and a plugin with jobs is told so before anything is done.

use mainstay_engine::limits::Limits;
use mainstay_engine::plugin::{Plugin, Plugins, Setup};
use mainstay_engine::{Engine, MayChange, Options};
use mainstay_jobs::JobSetup as _;
use mainstay_store::{Store, StoreOptions};

use super::harness::{Database, on_each, schema, told};

struct Working;

impl Plugin for Working {
    fn name(&self) -> &str {
        "working"
    }

    fn build(&self, setup: &mut Setup<'_>) {
        setup.job(told("work").0);
    }
}

#[test]
fn a_plugin_with_jobs_is_refused_on_a_database_that_others_made() {
    on_each(async |kind| {
        let schema =
            schema("app others existing\ntable Thing { id int, without created, updated, allow all }");
        let script = "CREATE TABLE \"Thing\" (id INTEGER PRIMARY KEY)";
        let database = Database::of_others(kind, schema.clone(), script).await.unwrap();
        let options = StoreOptions { existing: true, ..StoreOptions::new(database.url().parse().unwrap()) };
        let store = Store::open(&options).unwrap();
        let mut plugins = Plugins::default();
        plugins.add(Working);
        let options = Options { may_change: MayChange::default(), limits: Limits::default() };
        let error = Engine::open_with(schema, store, options, &plugins).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the plugin `working` does not fit the app:\n  it has jobs, and a database that others made (`app NAME existing`) \
             has no queue for them"
        );
    });
}
