//! An app in a folder of its own, and the commands run on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mainstay_store::{DatabaseUrl, StoreOptions};
use mainstay_testkit::database::{DatabaseKind, Place};
use mainstay_testkit::sources::copy_sources;
use serde_json::Value;
use tempfile::TempDir;

use super::Server;

/// A copy of an app; gone with all its data when dropped.
pub(crate) struct App {
    folder: TempDir,
    /// Where its rows are, when that is not below its folder.
    database: Option<Place>,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl App {
    /// A copy of `examples/NAME`.
    pub(crate) fn example(name: &str) -> App {
        let app = App::empty();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        copy_sources(&examples.join(name), &app.path()).unwrap();
        app
    }

    /// An app of one file.
    pub(crate) fn of(stay: &str) -> App {
        let app = App::empty();
        app.write("app.stay", stay);
        app
    }

    fn empty() -> App {
        let database = (crate::ON == DatabaseKind::Postgres).then(|| Place::new(crate::ON).unwrap());
        App { folder: tempfile::tempdir().unwrap(), database }
    }

    /// The app's folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    /// Writes a file of the app and returns its path.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The text of a file of the app.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// `mainstay` with these words, of which `APP` becomes the folder.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        let path = self.path();
        command.args(words.iter().map(|word| if *word == "APP" { path.as_os_str() } else { word.as_ref() }));
        // What the developer has set must not decide a test.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MAINSTAY_"))
        {
            command.env_remove(name);
        }
        // Who names another database does not mean the ways to this one.
        if let Some(database) = self.database.as_ref().filter(|_| !words.contains(&"--database")) {
            command.env("MAINSTAY_DATABASE", database.options.url.to_string());
            if let Some(direct) = &database.options.postgres.direct_url {
                command.env("MAINSTAY_DATABASE_PGBOUNCER", "yes");
                command.env("MAINSTAY_DATABASE_DIRECT", direct.to_string());
            }
        }
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs `mainstay` with these words to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        Ran::of(&mut self.command(words))
    }

    /// Starts the server on a free port and waits until it listens.
    pub(crate) fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// The same, with more flags.
    pub(crate) fn serve_with(&self, flags: &[&str]) -> Server {
        Server::start(self, flags)
    }

    /// How a test opens the database that the app's commands use.
    pub(crate) fn store_options(&self) -> StoreOptions {
        match &self.database {
            Some(place) => place.options.clone(),
            None => StoreOptions::new(DatabaseUrl::Sqlite(self.path().join("data/mainstay.db"))),
        }
    }

    /// An access token of a user, or of `--admin`.
    pub(crate) fn token(&self, user: &str) -> String {
        self.run(&["user", "token", "APP", user]).succeeded().stdout.trim().to_owned()
    }
}

impl Ran {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Ran {
        let output = command.output().unwrap();
        Ran {
            code: output.status.code().expect("the command ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The same, or a panic that shows what was said.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Ran {
        self.ended(0)
    }

    /// The same with this exit code, or a panic that shows what was said.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// The one JSON document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Asks again until there is an answer, up to a deadline.
#[track_caller]
pub(crate) fn until<T>(deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < deadline, "not within {deadline:?}");
    }
}
