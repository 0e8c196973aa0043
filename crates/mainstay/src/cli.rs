//! The command line: what can be typed, with its help. What the commands do is in [`crate::commands`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use mainstay_engine::plugin::Plugins;

use crate::settings::SettingFlags;

/// A backend in one binary: declare tables, rules and commands; get a query API, REST and more.
#[derive(Parser)]
#[command(
    name = "mainstay",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "A first app in three commands:\n  mainstay new shop\n  mainstay serve shop\n  mainstay user create shop --email ann@example.com --name Ann"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// One JSON document on standard output; words for people go to standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// An app and its settings.
#[derive(Args, Clone)]
pub(crate) struct App {
    /// The app's folder: its .stay files, mainstay.toml, seed/, public/.
    #[arg(value_name = "APP", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
    /// What the app is built of besides.
    #[arg(skip)]
    pub(crate) plugins: Plugins,
}

/// The commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a starter app in a new folder
    #[command(
        after_help = "Examples:\n  mainstay new shop && mainstay serve shop\n  mainstay new --rust shop && cd shop && cargo test"
    )]
    New {
        /// The folder to make; its last part is the app's name.
        #[arg(value_name = "NAME", value_hint = ValueHint::DirPath)]
        name: PathBuf,
        /// Make a project in Rust around the app, with a hook, a rule, a route and a test.
        #[arg(long)]
        rust: bool,
        /// Where Mainstay's own source is (its folder crates/mainstay); without, the published version is named.
        #[arg(long, value_name = "DIR", requires = "rust", value_hint = ValueHint::DirPath)]
        mainstay: Option<PathBuf>,
    },
    /// Read the whole app and print every problem at once
    #[command(after_help = "Exits 1 when a problem is an error.\n\nExample:\n  mainstay check shop")]
    Check {
        #[command(flatten)]
        app: App,
    },
    /// Lay out the app's .stay files in the one canonical way
    #[command(
        after_help = "Examples:\n  mainstay fmt shop            rewrites the files\n  mainstay fmt shop --check    only says which would change, and exits 1"
    )]
    Fmt {
        #[command(flatten)]
        app: App,
        /// Change nothing; exit 1 when a file is not laid out so.
        #[arg(long)]
        check: bool,
    },
    /// Serve the app over HTTP
    #[command(
        after_help = "Examples:\n  mainstay serve shop\n  mainstay serve shop --listen 127.0.0.1:8080 --env production"
    )]
    Serve {
        #[command(flatten)]
        app: App,
    },
    /// Run the app's jobs, and nothing else
    #[command(
        after_help = "A server runs them too unless jobs.work says no; on PostgreSQL any number of these work beside it.\n\nExamples:\n  mainstay work shop --env production\n  mainstay work shop --jobs-only 'mail.*' --jobs-concurrency 8"
    )]
    Work {
        #[command(flatten)]
        app: App,
    },
    /// Jobs: what is queued, what has failed, and what is to become of it
    Jobs {
        #[command(subcommand)]
        command: JobsCommand,
    },
    /// Bring a database from one version of the app to the next
    Migrate {
        #[command(subcommand)]
        command: MigrateCommand,
    },
    /// Run one query-language document
    #[command(
        after_help = "Examples:\n  mainstay query shop '{\"Product\": {\"get\": [\"name\"], \"limit\": 5}}' --admin\n  mainstay query shop '{\"Product\": {\"create\": true, \"name\": \"Tea\"}}' --as 0190…\n  mainstay query shop - --admin < query.json"
    )]
    Query {
        #[command(flatten)]
        app: App,
        /// The document; - reads it from standard input.
        #[arg(value_name = "JSON")]
        document: String,
        #[command(flatten)]
        caller: CallerArgs,
        /// Also print the SQL, its plan and timings.
        #[arg(long)]
        explain: bool,
    },
    /// Say which rule leaves a row out or refuses a change, and which clause of it
    #[command(
        after_help = "A change is tried and undone.\n\nExamples:\n  mainstay why shop '{\"Order\": {\"number\": 7}}' --as 0190…\n  mainstay why shop '{\"Order\": {\"number\": 7, \"set\": {\"paid\": true}}}' --as 0190…"
    )]
    Why {
        #[command(flatten)]
        app: App,
        /// The document; - reads it from standard input.
        #[arg(value_name = "JSON")]
        document: String,
        #[command(flatten)]
        caller: CallerArgs,
    },
    /// Put the rows of a file (csv, ndjson, json) into a table
    #[command(
        after_help = "All rows or none, unless --skip-bad. Rules are passed, checks are not.\n\nExamples:\n  mainstay import shop Product products.csv\n  mainstay import shop Product products.ndjson --upsert\n  mainstay import shop Playlist.tracks playlist_track.csv"
    )]
    Import {
        #[command(flatten)]
        app: App,
        /// The table, or Table.relation for the links of a many-to-many relation.
        table: String,
        /// The file; - reads ndjson from standard input.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Change the rows whose id is there already.
        #[arg(long)]
        upsert: bool,
        /// Leave out the rows that cannot be imported, and say which.
        #[arg(long)]
        skip_bad: bool,
    },
    /// Write the rows of a table into a file (csv, ndjson, json)
    #[command(
        after_help = "Secret columns are left out.\n\nExamples:\n  mainstay export shop Product products.csv\n  mainstay export shop Product - > products.ndjson"
    )]
    Export {
        #[command(flatten)]
        app: App,
        /// The table.
        table: String,
        /// The file, its ending says the form; - writes ndjson to standard output.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Copy everything from one database into another, of whichever kind
    #[command(
        after_help = "The target is empty, or was left unfinished by the same move, which then goes on. The source stays as it is.\n\nExamples:\n  mainstay move shop --from sqlite:shop/data/mainstay.db --to postgres://shop@db.example/shop\n  mainstay move shop --from postgres://shop@db.example/shop --to sqlite:copy.db --while-serving"
    )]
    Move {
        #[command(flatten)]
        app: App,
        /// The database to read: sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE.
        #[arg(long, value_name = "URL")]
        from: String,
        /// The database to fill.
        #[arg(long, value_name = "URL")]
        to: String,
        /// Copy although servers may write to the source: what they write from now on stays behind.
        #[arg(long)]
        while_serving: bool,
        /// Copy although the source holds tables and columns that the app does not declare: they stay behind.
        #[arg(long)]
        leave_undeclared: bool,
    },
    /// Write everything that the database holds into one file, beside a running server
    #[command(
        after_help = "Examples:\n  mainstay backup shop shop.backup\n  mainstay backup shop /backups/ --env production    a file named after app and time"
    )]
    Backup {
        #[command(flatten)]
        app: App,
        /// The file, or a folder that is there.
        #[arg(value_hint = ValueHint::AnyPath)]
        file: PathBuf,
    },
    /// Fill a database, of whichever kind, from a backup
    #[command(
        after_help = "The file is read to its end first, so that a damaged one changes nothing.\n\nExamples:\n  mainstay restore shop shop.backup\n  mainstay restore shop shop.backup --database postgres://shop@db.example/shop\n  mainstay restore shop shop.backup --check\n  mainstay restore shop shop.backup --sources shop-of-then"
    )]
    Restore {
        #[command(flatten)]
        app: App,
        /// The backup.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Drop everything that the database holds first.
        #[arg(long)]
        replace: bool,
        /// Only read the file, and say what it holds.
        #[arg(long, conflicts_with = "replace")]
        check: bool,
        /// Write the app's .stay files, as they were then, into a new folder.
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        sources: Option<PathBuf>,
    },
    /// Make an app of a database that others made, which is then served as it is
    #[command(
        after_help = "Changes nothing in the database. What the language has no words for is said on standard error, and in the file.\n\nExamples:\n  mainstay pull postgres://ann@db.example/rental rental\n  mainstay pull sqlite:northwind.db > northwind.stay"
    )]
    Pull {
        /// The database: sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE.
        #[arg(value_name = "URL")]
        url: String,
        /// The app's folder, which is made; without it the .stay file goes to standard output.
        #[arg(value_name = "APP", value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
    },
    /// Let the change log hear of what others write into the database
    Triggers {
        #[command(subcommand)]
        command: TriggersCommand,
    },
    /// People who sign in, their permissions and tokens
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// List every setting: its value, where it came from, its flag, its variable
    #[command(after_help = "Example:\n  mainstay settings shop --env production")]
    Settings {
        #[command(flatten)]
        app: App,
    },
    /// See and change the flags and settings of an app that says `use flags`
    #[command(
        after_help = "Examples:\n  mainstay flags shop list\n  mainstay flags shop set new_checkout true\n  mainstay flags shop unset new_checkout"
    )]
    Flags {
        #[command(flatten)]
        app: App,
        /// list, set NAME VALUE, or unset NAME
        #[arg(value_name = "WORD")]
        words: Vec<String>,
        /// The tenant whose value it is; everybody's unless said
        #[arg(long, value_name = "ID")]
        tenant: Option<String>,
    },
    /// Look whether everything the app needs is there and well
    Doctor {
        #[command(flatten)]
        app: App,
        /// Fail also where settings weaken the app
        #[arg(long)]
        strict: bool,
    },
    /// Print the completions of a shell
    #[command(
        after_help = "Example:\n  mainstay completions bash > ~/.local/share/bash-completion/completions/mainstay"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `mainstay jobs …`
#[derive(Subcommand)]
pub(crate) enum JobsCommand {
    /// List jobs, the newest first
    #[command(
        after_help = "Examples:\n  mainstay jobs list shop --state dead\n  mainstay jobs list shop --name mail.send --limit 5 --json"
    )]
    List {
        #[command(flatten)]
        app: App,
        /// Only those: scheduled, ready, blocked, waiting, running, done, dead or cancelled.
        #[arg(long)]
        state: Option<String>,
        /// Only those of this name.
        #[arg(long)]
        name: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Count jobs by name and state
    #[command(after_help = "Example:\n  mainstay jobs stats shop")]
    Stats {
        #[command(flatten)]
        app: App,
    },
    /// Show all that is known of a job, its arguments included
    #[command(after_help = "Example:\n  mainstay jobs show shop 0190…")]
    Show {
        #[command(flatten)]
        app: App,
        /// The job's id.
        id: String,
    },
    /// Let jobs run again as if they were new
    #[command(
        after_help = "Examples:\n  mainstay jobs retry shop 0190…\n  mainstay jobs retry shop --name mail.send    all dead ones of a name"
    )]
    Retry {
        #[command(flatten)]
        app: App,
        #[command(flatten)]
        which: Which,
    },
    /// Cancel jobs that wait, and ask those that run to stop
    #[command(
        after_help = "Examples:\n  mainstay jobs cancel shop 0190…\n  mainstay jobs cancel shop --name report.nightly"
    )]
    Cancel {
        #[command(flatten)]
        app: App,
        #[command(flatten)]
        which: Which,
    },
    /// Forget finished jobs that are older than this
    #[command(
        after_help = "A worker does this by itself, as jobs.keep_done and jobs.keep_dead say.\n\nExample:\n  mainstay jobs prune shop --done 1h --dead 7d"
    )]
    Prune {
        #[command(flatten)]
        app: App,
        /// Age of those that were done.
        #[arg(long, value_name = "TIME", default_value = "24h")]
        done: String,
        /// Age of those that are dead or were cancelled.
        #[arg(long, value_name = "TIME", default_value = "30d")]
        dead: String,
    },
}

/// Which jobs a command is about.
#[derive(Args)]
pub(crate) struct Which {
    /// Ids of jobs.
    #[arg(value_name = "ID", required_unless_present = "name")]
    pub(crate) ids: Vec<String>,
    /// All of this name, instead of ids.
    #[arg(long, conflicts_with = "ids")]
    pub(crate) name: Option<String>,
}

/// `mainstay migrate …`
#[derive(Subcommand)]
pub(crate) enum MigrateCommand {
    /// Write what is different between the declared schema and the migrations as the next migration
    #[command(
        after_help = "Needs no database. Review what it writes into APP/migrations, and commit it.\n\nExamples:\n  mainstay migrate plan shop\n  mainstay migrate plan shop --name 'prices are costs' --rename Product.price=cost\n  mainstay migrate plan shop --fill 'Product.rank=if price > 100 then 1 else 2'"
    )]
    Plan {
        #[command(flatten)]
        app: App,
        #[command(flatten)]
        plan: PlanArgs,
    },
    /// Apply the migrations that the database has not seen
    #[command(
        after_help = "Examples:\n  mainstay migrate apply shop --env production --dry-run\n  mainstay migrate apply shop --env production --allow-destructive"
    )]
    Apply {
        #[command(flatten)]
        app: App,
        #[command(flatten)]
        apply: ApplyArgs,
    },
    /// Say which migrations are applied, and how the database differs from what they left
    Status {
        #[command(flatten)]
        app: App,
    },
}

/// What is said of a change.
#[derive(Args)]
pub(crate) struct PlanArgs {
    /// What the migration is called; otherwise after its first change.
    #[arg(long, value_name = "WORDS")]
    pub(crate) name: Option<String>,
    /// A table, column or relation that has another name now: Product.price=cost.
    #[arg(long = "rename", value_name = "OLD=NEW")]
    pub(crate) renames: Vec<String>,
    /// A table, column or relation that goes, though something new looks like it: Product.price.
    #[arg(long = "drop", value_name = "OLD")]
    pub(crate) drops: Vec<String>,
    /// What rows that are there get in a column: an expression over the row.
    #[arg(long = "fill", value_name = "TABLE.COLUMN=EXPRESSION")]
    pub(crate) fills: Vec<String>,
    /// Plan for this kind of database too, beside the one that the app runs on and those that it has migrations for.
    #[arg(long = "for", value_name = "DATABASE", value_parser = ["sqlite", "postgres"])]
    pub(crate) kind: Option<String>,
    /// End the migration with a step to be written by hand, even when nothing is different.
    #[arg(long)]
    pub(crate) by_hand: bool,
    /// Write nothing; exit 1 when something is different.
    #[arg(long)]
    pub(crate) check: bool,
}

/// How migrations are applied.
#[derive(Args)]
pub(crate) struct ApplyArgs {
    /// Let steps lose values; without it they are refused outside of development.
    #[arg(long)]
    pub(crate) allow_destructive: bool,
    /// Go on though the database is not as its migrations left it.
    #[arg(long)]
    pub(crate) despite_drift: bool,
    /// Change nothing; only say what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How long a step may try to get locks that others hold, two seconds at a time: 30s, 10m.
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub(crate) patience: String,
}

/// `mainstay triggers …`
#[derive(Subcommand)]
pub(crate) enum TriggersCommand {
    /// Put triggers into the database that write the change log for everybody but Mainstay
    #[command(
        after_help = "Again after each migration that changes a table. In a database that others made this makes the change log, too.\n\nExamples:\n  mainstay triggers on shop\n  mainstay triggers on rental Film Actor --database postgres://ann@db.example/rental"
    )]
    On {
        #[command(flatten)]
        app: App,
        /// The tables; all when none is named.
        #[arg(value_name = "TABLE")]
        tables: Vec<String>,
    },
    /// Take the triggers away; the change log stays
    Off {
        #[command(flatten)]
        app: App,
        /// The tables; all when none is named.
        #[arg(value_name = "TABLE")]
        tables: Vec<String>,
    },
    /// Say which tables have triggers
    Status {
        #[command(flatten)]
        app: App,
    },
}

/// `mainstay user …`
#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user and print the id
    #[command(after_help = "Example:\n  mainstay user create shop --email ann@example.com --name Ann")]
    Create {
        #[command(flatten)]
        app: App,
        /// The e-mail address, unique without regard to case.
        #[arg(long)]
        email: String,
        /// The name.
        #[arg(long)]
        name: String,
    },
    /// Give a user permissions, which rules ask for with user.can("…")
    #[command(after_help = "Example:\n  mainstay user grant shop 0190… catalogue/manage")]
    Grant {
        #[command(flatten)]
        app: App,
        /// The user's id.
        user: String,
        /// Permissions as the rules name them.
        #[arg(required = true)]
        permissions: Vec<String>,
    },
    /// Take an address as verified: that of a user, or of somebody who has just registered
    #[command(after_help = "Example:\n  mainstay user verify shop ann@example.com")]
    Verify {
        #[command(flatten)]
        app: App,
        /// The e-mail address.
        email: String,
    },
    /// Print an access token for the header `Authorization: Bearer TOKEN`
    #[command(
        after_help = "Examples:\n  mainstay user token shop 0190…\n  mainstay user token shop --admin --ttl 10m"
    )]
    Token {
        #[command(flatten)]
        app: App,
        /// The user's id.
        #[arg(required_unless_present = "admin", conflicts_with = "admin")]
        user: Option<String>,
        /// A token that passes every rule (not the checks).
        #[arg(long)]
        admin: bool,
        /// How long it is good for: 10m, 1h, 7d.
        #[arg(long, default_value = "1h")]
        ttl: String,
    },
}

/// As whom a document is run.
#[derive(Args)]
pub(crate) struct CallerArgs {
    /// As this user; without it and --admin, as the anonymous caller.
    #[arg(long = "as", value_name = "USER_ID", conflicts_with = "admin")]
    pub(crate) user: Option<String>,
    /// Past every rule (not the checks).
    #[arg(long)]
    pub(crate) admin: bool,
}

impl Command {
    /// The app that it is about.
    pub(crate) fn app_mut(&mut self) -> Option<&mut App> {
        match self {
            Command::New { .. } | Command::Pull { .. } | Command::Completions { .. } => None,
            Command::Check { app }
            | Command::Fmt { app, .. }
            | Command::Serve { app }
            | Command::Work { app }
            | Command::Query { app, .. }
            | Command::Why { app, .. }
            | Command::Import { app, .. }
            | Command::Export { app, .. }
            | Command::Move { app, .. }
            | Command::Backup { app, .. }
            | Command::Restore { app, .. }
            | Command::Settings { app }
            | Command::Flags { app, .. }
            | Command::Doctor { app, .. } => Some(app),
            Command::Jobs { command } => Some(match command {
                JobsCommand::List { app, .. }
                | JobsCommand::Stats { app }
                | JobsCommand::Show { app, .. }
                | JobsCommand::Retry { app, .. }
                | JobsCommand::Cancel { app, .. }
                | JobsCommand::Prune { app, .. } => app,
            }),
            Command::Migrate { command } => Some(match command {
                MigrateCommand::Plan { app, .. }
                | MigrateCommand::Apply { app, .. }
                | MigrateCommand::Status { app, .. } => app,
            }),
            Command::Triggers { command } => Some(match command {
                TriggersCommand::On { app, .. }
                | TriggersCommand::Off { app, .. }
                | TriggersCommand::Status { app } => app,
            }),
            Command::User { command } => Some(match command {
                UserCommand::Create { app, .. }
                | UserCommand::Grant { app, .. }
                | UserCommand::Verify { app, .. }
                | UserCommand::Token { app, .. } => app,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn definition_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
