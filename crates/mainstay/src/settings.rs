//! Settings: flag over environment over file over default, each with its origin.
//!
//! Files are `mainstay.toml`, then `mainstay.ENV.toml`, then `mainstay.local.toml`, later ones winning. A name that
//! nobody reads is a warning with its place and the nearest name; a value that cannot be read is an error.

mod files;
mod flags;
mod named;
pub(crate) mod parse;
mod secrets;
mod setting;
mod table;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::output::Usage;

pub(crate) use flags::SettingFlags;
pub(crate) use named::NamedValue;
pub(crate) use table::{NAMED, SETTINGS};

/// What can change while a process runs.
pub(crate) const LIVE: &[&str] = &[
    "limits.depth",
    "limits.parts",
    "limits.rows",
    "limits.bytes",
    "limits.page",
    "limits.page_max",
    "limits.hook",
    "log.level",
    "otlp.sample",
];

/// Everything that can be set, read and checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) environment: String,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) database_url: Option<String>,
    pub(crate) synchronous_full: bool,
    pub(crate) mmap_bytes: u64,
    pub(crate) readers: usize,
    pub(crate) shared_readers: usize,
    pub(crate) writers: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) pgbouncer: bool,
    pub(crate) direct_url: Option<String>,
    pub(crate) replica_url: Option<String>,
    pub(crate) replica_age: Duration,
    pub(crate) listen: SocketAddr,
    pub(crate) body_limit_bytes: usize,
    pub(crate) timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) max_requests: usize,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) trusted_proxies: Vec<mainstay_http::Network>,
    pub(crate) header_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_client: usize,
    pub(crate) security: mainstay_security::SecurityOptions,
    pub(crate) resource_policy: Option<String>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) acme: mainstay_security::AcmeOptions,
    pub(crate) redirect: Option<SocketAddr>,
    pub(crate) url: Option<String>,
    pub(crate) auth_secret: Option<String>,
    pub(crate) limit_depth: usize,
    pub(crate) limit_parts: usize,
    pub(crate) limit_rows: u64,
    pub(crate) limit_bytes: u64,
    pub(crate) limit_page: u64,
    pub(crate) limit_page_max: u64,
    pub(crate) limit_hook: Duration,
    pub(crate) backup_schedule: Option<String>,
    pub(crate) backup_time_zone: String,
    pub(crate) backup_directory: Option<PathBuf>,
    pub(crate) backup_keep: usize,
    pub(crate) jobs_work: bool,
    pub(crate) jobs_concurrency: usize,
    pub(crate) jobs_only: Vec<String>,
    pub(crate) jobs_except: Vec<String>,
    pub(crate) jobs_keep_done: Duration,
    pub(crate) jobs_keep_dead: Duration,
    pub(crate) identity: mainstay_identity::IdentityOptions,
    pub(crate) mail_from: String,
    pub(crate) mail_host: Option<String>,
    pub(crate) mail_port: u16,
    pub(crate) mail_tls: mainstay_mail::Tls,
    pub(crate) mail_user: Option<String>,
    pub(crate) mail_password: Option<String>,
    pub(crate) mail_authority: Option<PathBuf>,
    pub(crate) mail_allow: Vec<String>,
    pub(crate) mail_bounce_secret: Option<String>,
    pub(crate) flags_shown: Vec<String>,
    pub(crate) push_contact: Option<String>,
    pub(crate) live: mainstay_live::Limits,
    pub(crate) log_level: String,
    pub(crate) log_json: bool,
    pub(crate) otlp_endpoint: Option<String>,
    pub(crate) otlp_headers: Option<String>,
    pub(crate) otlp_sample: f64,
    pub(crate) otlp_service: Option<String>,
}

/// The configuration with where each value came from.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// For each setting of [`SETTINGS`], its text and origin.
    pub(crate) values: Vec<(String, Origin)>,
    /// Settings of what the app names itself.
    pub(crate) named: Vec<NamedValue>,
    /// Names in files and variables that nobody reads.
    pub(crate) warnings: Vec<String>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(String),
    Variable(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(place) => f.write_str(place),
            Origin::Variable(name) => f.write_str(name),
            Origin::Flag(name) => write!(f, "--{name}"),
        }
    }
}

impl Loaded {
    /// Whether a flag of the command names the database.
    pub(crate) fn database_is_flag(&self) -> bool {
        let database = SETTINGS.iter().position(|setting| setting.name == "database.url");
        database.is_some_and(|index| matches!(self.values[index].1, Origin::Flag(_)))
    }
}

impl Config {
    /// Whether the app is being built rather than run: schemas are made and seeds loaded at start.
    pub(crate) fn is_development(&self) -> bool {
        self.environment == "development"
    }

    /// Whether TLS is spoken where the server listens.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls_cert.is_some() || !self.acme.domains.is_empty()
    }

    /// The data folder of an app.
    pub(crate) fn data_dir(&self, app: &Path) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| app.join("data"))
    }
}

/// Reads the settings of the app in `app`.
pub(crate) fn load(app: &Path, flags: &SettingFlags) -> Result<Loaded> {
    let environment = environment_name(flags)?;
    let mut warnings = Vec::new();
    let from_files = files::read(app, &environment, &mut warnings)?;
    warn_of_unread_variables(&mut warnings);

    let mut config = unset(environment);
    let mut values = Vec::with_capacity(SETTINGS.len());
    for (index, setting) in SETTINGS.iter().enumerate() {
        let variable = setting.variable();
        let (text, origin) = if let Some(text) = flags.value(index) {
            (text.to_owned(), Origin::Flag(setting.flag.to_owned()))
        } else if let Ok(text) = std::env::var(&variable) {
            (text, Origin::Variable(variable))
        } else if let Some((text, place)) = from_files.get(setting.name) {
            (text.clone(), Origin::File(place.clone()))
        } else {
            (setting.default.to_owned(), Origin::Default)
        };
        // An empty default stands for "not set"; an empty text that somebody wrote is for the setting to judge.
        if !(text.is_empty() && origin == Origin::Default) {
            (setting.apply)(&mut config, &text).map_err(|expected| {
                let shown = if setting.secret { "the value".to_owned() } else { format!("{text:?}") };
                let words = format!("{} ({origin}): expected {expected}, not {shown}", setting.name);
                // A flag was typed; a file or variable may be wrong for all that is typed.
                match origin {
                    Origin::Flag(_) => Usage(words).into(),
                    _ => anyhow::Error::msg(words),
                }
            })?;
        }
        values.push((text, origin));
    }
    let named = named::read(&mut config, &from_files, std::env::vars())?;
    Ok(Loaded { config, values, named, warnings })
}

/// Refuses flags with wrong values, for commands that need no settings: files and variables are nothing to them.
pub(crate) fn check_flags(app: &Path, flags: &SettingFlags) -> Result<()> {
    match load(app, flags) {
        Err(error) if error.is::<Usage>() => Err(error),
        _ => Ok(()),
    }
}

/// `development` unless said. It chooses the files, so it cannot stand in one.
fn environment_name(flags: &SettingFlags) -> Result<String> {
    let (place, name) = match flags.environment() {
        Some(name) => ("--env", name.to_owned()),
        None => ("MAINSTAY_ENV", std::env::var("MAINSTAY_ENV").unwrap_or_else(|_| "development".to_owned())),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name == "local" || !name.chars().all(plain) {
        let words = format!(
            "{place}: expected a name of letters, digits, - and _ (development, production, …), not {name:?}"
        );
        return Err(if place == "--env" { Usage(words).into() } else { anyhow::Error::msg(words) });
    }
    Ok(name)
}

fn warn_of_unread_variables(warnings: &mut Vec<String>) {
    let known: Vec<String> =
        SETTINGS.iter().map(setting::Setting::variable).chain(["MAINSTAY_ENV".to_owned()]).collect();
    for (name, _) in std::env::vars() {
        if name.starts_with("MAINSTAY_") && !known.contains(&name) && !named::is_variable(&name) {
            let nearest = mainstay_lang::suggest::nearest(&name, known.iter().map(String::as_str));
            warnings.push(unread("the environment", &name, nearest));
        }
    }
}

/// The words about a name that nobody reads.
fn unread(place: &str, name: &str, nearest: Option<&str>) -> String {
    let suggestion = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
    format!("{place}: nobody reads {name}{suggestion}")
}

/// A configuration whose every field is overwritten by the defaults of the table.
fn unset(environment: String) -> Config {
    Config {
        environment,
        data_dir: None,
        database_url: None,
        synchronous_full: true,
        mmap_bytes: 0,
        readers: 0,
        shared_readers: 0,
        writers: 0,
        connect_timeout: Duration::ZERO,
        pgbouncer: false,
        direct_url: None,
        replica_url: None,
        replica_age: Duration::ZERO,
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        body_limit_bytes: 0,
        timeout: Duration::ZERO,
        shutdown_timeout: Duration::ZERO,
        max_requests: 0,
        cors_origins: Vec::new(),
        trusted_proxies: Vec::new(),
        header_timeout: Duration::ZERO,
        max_connections: 0,
        max_connections_per_client: 0,
        security: mainstay_security::SecurityOptions::default(),
        resource_policy: None,
        tls_cert: None,
        tls_key: None,
        acme: mainstay_security::AcmeOptions::default(),
        redirect: None,
        url: None,
        auth_secret: None,
        limit_depth: 0,
        limit_parts: 0,
        limit_rows: 0,
        limit_bytes: 0,
        limit_page: 0,
        limit_page_max: 0,
        limit_hook: Duration::ZERO,
        backup_schedule: None,
        backup_time_zone: String::new(),
        backup_directory: None,
        backup_keep: 0,
        jobs_work: false,
        jobs_concurrency: 0,
        jobs_only: Vec::new(),
        jobs_except: Vec::new(),
        jobs_keep_done: Duration::ZERO,
        jobs_keep_dead: Duration::ZERO,
        identity: mainstay_identity::IdentityOptions::new(Vec::new(), ""),
        mail_from: String::new(),
        mail_host: None,
        mail_port: 0,
        mail_tls: mainstay_mail::Tls::StartTls,
        mail_user: None,
        mail_password: None,
        mail_authority: None,
        mail_allow: Vec::new(),
        mail_bounce_secret: None,
        flags_shown: Vec::new(),
        push_contact: None,
        live: mainstay_live::Limits::default(),
        log_level: String::new(),
        log_json: false,
        otlp_endpoint: None,
        otlp_headers: None,
        otlp_sample: 1.0,
        otlp_service: None,
    }
}

/// The secret that signs tokens: the one set, or the one kept in the data folder, made when there is none.
pub(crate) fn auth_secret(config: &Config, app: &Path) -> Result<String> {
    if let Some(secret) = &config.auth_secret {
        let weakness = (config.environment == "production").then(|| secrets::weakness(secret)).flatten();
        return match weakness {
            None => Ok(secret.clone()),
            Some(why) => {
                bail!(
                    "auth.secret: {why}; make one with `openssl rand -base64 48` and keep it elsewhere than the data"
                )
            }
        };
    }
    let folder = config.data_dir(app);
    let path = folder.join("secret.key");
    match std::fs::read_to_string(&path) {
        Ok(secret) if secret.trim().len() >= 32 => return Ok(secret.trim().to_owned()),
        Ok(_) => bail!(
            "{}: the secret is shorter than 32 characters; delete the file to make a new one",
            path.display()
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    write_private(&path, &new_secret())?;
    let secret = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(secret.trim().to_owned())
}

/// Three random UUIDs carry 366 random bits.
fn new_secret() -> String {
    (0..3).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect()
}

/// Writes a file that only its owner reads. When another process was faster, its file stays: two processes that
/// start together must agree on one secret.
fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(mut file) => file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .with_context(|| format!("writing {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).with_context(|| format!("writing {}", path.display())),
    }
}

/// The configuration that flags alone make.
#[cfg(test)]
pub(crate) fn load_words(words: &[&str]) -> Config {
    let folder = tempfile::tempdir().expect("a folder");
    load(folder.path(), &flags::from_words(words)).expect("the flags can be read").config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn value(loaded: &Loaded, name: &str) -> (String, String) {
        let index = SETTINGS.iter().position(|setting| setting.name == name).unwrap();
        let (text, origin) = &loaded.values[index];
        (text.clone(), origin.to_string())
    }

    #[test]
    fn later_files_win_and_flags_win_over_files() {
        let folder = app(&[
            ("mainstay.toml", "[limits]\npage = 10\nrows = 20\ndepth = 3\n"),
            ("mainstay.production.toml", "[limits]\nrows = 30\n"),
            ("mainstay.local.toml", "[limits]\ndepth = 4\n"),
        ]);
        let loaded =
            load(folder.path(), &flags::from_words(&["--env", "production", "--limits-page", "11"])).unwrap();
        assert_eq!(value(&loaded, "limits.page"), ("11".to_owned(), "--limits-page".to_owned()));
        assert_eq!(value(&loaded, "limits.rows"), ("30".to_owned(), "mainstay.production.toml".to_owned()));
        assert_eq!(value(&loaded, "limits.depth"), ("4".to_owned(), "mainstay.local.toml".to_owned()));
        assert_eq!(value(&loaded, "limits.page_max"), ("1000".to_owned(), "default".to_owned()));
        assert_eq!(
            (loaded.config.limit_page, loaded.config.limit_rows, loaded.config.limit_depth),
            (11, 30, 4)
        );
    }

    #[test]
    fn other_environments_files_are_not_read() {
        let folder = app(&[("mainstay.production.toml", "[limits]\nrows = 30\n")]);
        let loaded = load(folder.path(), &flags::from_words(&[])).unwrap();
        assert_eq!(value(&loaded, "limits.rows").1, "default");
    }

    #[test]
    fn a_name_that_nobody_reads_is_a_warning_with_the_nearest() {
        let folder = app(&[("mainstay.toml", "[http]\nlisten_on = \"x\"\nbody_limits = 5\n")]);
        let loaded = load(folder.path(), &flags::from_words(&[])).unwrap();
        let warnings = loaded.warnings.join("\n");
        assert!(warnings.contains("nobody reads http.listen_on"), "{warnings}");
        assert!(warnings.contains("http.body_limits; did you mean http.body_limit?"), "{warnings}");
    }

    #[test]
    fn a_value_that_cannot_be_read_names_its_origin() {
        let folder = app(&[("mainstay.toml", "[http]\ntimeout = \"soon\"\n")]);
        let error = load(folder.path(), &flags::from_words(&[])).err().unwrap().to_string();
        assert!(error.contains("http.timeout (mainstay.toml): expected a time with its unit"), "{error}");
    }

    #[test]
    fn what_browsers_are_told_is_the_same_with_settings_and_without() {
        let folder = app(&[]);
        let config = load(folder.path(), &flags::from_words(&[])).unwrap().config;
        assert_eq!(config.security.headers, mainstay_security::HeaderOptions::default());
    }

    #[test]
    fn in_production_a_secret_that_is_none_is_refused() {
        let weak = ["--auth-secret", "changeme-changeme-changeme-changeme"];
        let folder = app(&[]);
        assert!(auth_secret(&load_words(&weak), folder.path()).is_ok());
        let error = auth_secret(&load_words(&[&weak[..], &["--env", "production"]].concat()), folder.path());
        let words = error.unwrap_err().to_string();
        assert!(words.starts_with("auth.secret: it has") && !words.contains(weak[1]), "{words}");
    }

    #[test]
    fn a_secret_is_made_once_and_only_for_its_owner() {
        let folder = app(&[]);
        let config = load(folder.path(), &flags::from_words(&[])).unwrap().config;
        let secret = auth_secret(&config, folder.path()).unwrap();
        assert!(secret.len() >= 32);
        assert_eq!(auth_secret(&config, folder.path()).unwrap(), secret);
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(folder.path().join("data/secret.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }

    #[test]
    fn what_can_change_while_a_process_runs_is_a_setting() {
        for name in LIVE {
            assert!(SETTINGS.iter().any(|setting| setting.name == *name), "{name} is no setting");
        }
    }

    #[test]
    fn names_flags_and_variables_are_unique() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            let again = SETTINGS[index + 1..]
                .iter()
                .find(|other| other.flag == setting.flag || other.name == setting.name);
            assert!(again.is_none(), "{} stands twice", setting.name);
        }
    }
}
