//! The capabilities that an app's folder asks for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use mainstay_engine::plugin::Plugins;
use mainstay_flags::{FlagsOptions, FlagsPlugin};
use mainstay_identity::{IdentityOptions, IdentityPlugin, PasswordOptions};
use mainstay_jobs::{Clock, JobsPlugin};
use mainstay_lang::parser::parse_file;
use mainstay_lang::schema::Schema;
use mainstay_lang::source::Sources;
use mainstay_mail::{Allowed, MailOptions, MailPlugin, Smtp, Way};
use mainstay_push::{PushOptions, PushPlugin};
use mainstay_security::{AcmeOptions, SecurityOptions, SecurityPlugin, TlsOptions};

use crate::cli::App;
use crate::settings::{self, Config};

/// How long a mail server may take to answer.
const SMTP_TIMEOUT: Duration = Duration::from_secs(30);

/// How the capabilities are set that an app may use.
#[derive(Default)]
struct Chosen {
    mail: Option<MailOptions>,
    identity: Option<IdentityOptions>,
    flags: FlagsOptions,
    push: Option<PushOptions>,
    security: SecurityOptions,
}

/// The plugins of an app under its settings: the platform's, then its own.
pub(crate) fn of_app(app: &App, schema: &Schema, config: &Config) -> Result<Plugins> {
    let mail = has_mail(&schema.uses).then(|| mail_options(&app.folder, config)).transpose()?;
    let identity = is_used(&schema.uses, "identity").then(|| identity_options(app, config)).transpose()?;
    let flags = FlagsOptions { shown: config.flags_shown.clone() };
    let push = is_used(&schema.uses, "push").then(|| push_options(app, config)).transpose()?;
    let security = security_options(app, config)?;
    Ok(plugins(app, &schema.uses, Chosen { mail, identity, flags, push, security }, Clock::default()))
}

/// The same in a test: mail is captured, and the queue goes by the test's clock.
pub(crate) fn in_test(app: &App, schema: &Schema, clock: Clock) -> Result<Plugins> {
    let mail = has_mail(&schema.uses).then(|| captured(&app.folder, "app@localhost")).transpose()?;
    let identity = is_used(&schema.uses, "identity").then(|| IdentityOptions {
        // Tests sign in often, and what they protect is nothing.
        password: PasswordOptions { memory_kib: 64, passes: 1, ..PasswordOptions::default() },
        ..IdentityOptions::new([7; 32], "http://localhost")
    });
    let push = is_used(&schema.uses, "push").then(|| push_nowhere(vec![7; 32]));
    Ok(plugins(app, &schema.uses, Chosen { mail, identity, push, ..Chosen::default() }, clock))
}

/// What the platform and the plugins add to the sources of an app, whatever its settings.
pub(crate) fn sources(app: &App, files: &[(PathBuf, String)]) -> Result<Sources> {
    // What is wrong with a file is told by whoever reads all of them.
    let trees = files.iter().map(|(_, text)| parse_file(0, text).0);
    let used: Vec<String> = trees.flat_map(|tree| tree.uses).map(|name| name.text).collect();
    let mail = has_mail(&used).then(|| captured(&app.folder, "app@localhost")).transpose()?;
    let identity = is_used(&used, "identity").then(|| IdentityOptions::new(Vec::new(), ""));
    let push = is_used(&used, "push").then(|| push_nowhere(Vec::new()));
    let chosen = Chosen { mail, identity, push, ..Chosen::default() };
    Ok(plugins(app, &used, chosen, Clock::default()).sources())
}

fn plugins(
    app: &App,
    used: &[String],
    Chosen { mail, identity, flags, push, security }: Chosen,
    clock: Clock,
) -> Plugins {
    let mut plugins = Plugins::default();
    plugins.add(JobsPlugin { is_shown: is_used(used, "jobs"), clock });
    if let Some(mail) = mail {
        plugins.add(MailPlugin::new(mail));
    }
    if let Some(identity) = identity {
        plugins.add(IdentityPlugin::new(identity));
    }
    if is_used(used, "flags") {
        plugins.add(FlagsPlugin::new(flags));
    }
    if let Some(push) = push {
        plugins.add(PushPlugin::new(push));
    }
    plugins.add(SecurityPlugin::new(SecurityOptions { is_shared: is_used(used, "security"), ..security }));
    plugins.append(&app.plugins);
    plugins
}

/// Identity writes to people.
fn has_mail(used: &[String]) -> bool {
    is_used(used, "mail") || is_used(used, "identity")
}

fn identity_options(app: &App, config: &Config) -> Result<IdentityOptions> {
    let secret = secret(app, config)?;
    if config.environment == "production" && config.url.is_none() {
        bail!("http.url: in production links in mail have to say where people reach the app");
    }
    let scheme = if config.is_tls() { "https" } else { "http" };
    let url = config.url.clone().unwrap_or_else(|| format!("{scheme}://{}", config.listen));
    let own = IdentityOptions::new(secret, url);
    Ok(IdentityOptions {
        secret: own.secret,
        url: own.url,
        secure_cookies: own.secure_cookies,
        ..config.identity.clone()
    })
}

/// The secret that keys and the like are encrypted by.
fn secret(app: &App, config: &Config) -> Result<String> {
    if config.environment == "production" && config.auth_secret.is_none() {
        bail!(
            "auth.secret: in production it is said by you, the same on every node, and kept elsewhere than the data"
        );
    }
    settings::auth_secret(config, &app.folder)
}

/// While an app is being built messages may go anywhere, elsewhere to public addresses alone.
fn push_options(app: &App, config: &Config) -> Result<PushOptions> {
    let by_url = || config.url.clone().filter(|url| url.starts_with("https://"));
    let by_mail = || {
        let address = config.mail_from.rsplit('<').next().unwrap_or_default().trim_end_matches('>');
        format!("mailto:{}", address.trim())
    };
    let contact = config.push_contact.clone().or_else(by_url).unwrap_or_else(by_mail);
    let secret = secret(app, config)?.into_bytes();
    Ok(PushOptions { secret, contact, public_only: !config.is_development() })
}

/// Where no message leaves but what a test lets go.
fn push_nowhere(secret: Vec<u8>) -> PushOptions {
    PushOptions { secret, contact: "mailto:app@localhost".to_owned(), public_only: false }
}

/// What stands between the app and the network.
fn security_options(app: &App, config: &Config) -> Result<SecurityOptions> {
    let mut options = config.security.clone();
    let comes_by_tls = config.is_tls() || config.url.as_ref().is_some_and(|url| url.starts_with("https://"));
    options.headers.is_tls = comes_by_tls;
    match &config.resource_policy {
        Some(policy) => options.headers.resource.clone_from(policy),
        None if !config.cors_origins.is_empty() => options.headers.resource = "cross-origin".to_owned(),
        None => {}
    }
    options.tls = match (&config.tls_cert, &config.tls_key, config.acme.domains.is_empty()) {
        (None, None, true) => None,
        (Some(cert), Some(key), true) => Some(TlsOptions::Files { cert: cert.clone(), key: key.clone() }),
        (None, None, false) => {
            let secret = settings::auth_secret(config, &app.folder)?.into_bytes();
            Some(TlsOptions::Acme(AcmeOptions { secret, ..config.acme.clone() }))
        }
        (_, _, false) => {
            bail!("http.tls.cert: with http.acme.domains the certificate comes from an authority")
        }
        (Some(_), None, _) => bail!("http.tls.key: the key of http.tls.cert is missing"),
        (None, Some(_), _) => bail!("http.tls.cert: the certificate of http.tls.key is missing"),
    };
    Ok(options)
}

fn is_used(used: &[String], name: &str) -> bool {
    used.iter().any(|used| used == name)
}

fn captured(folder: &Path, from: &str) -> Result<MailOptions> {
    let from = from.parse().map_err(|error| anyhow!("mail.from: {from:?} is no address: {error}"))?;
    Ok(MailOptions::captured(from, folder.join("mail")))
}

/// Mail is captured while an app is being built; elsewhere than in production it goes to allowed addresses alone.
fn mail_options(folder: &Path, config: &Config) -> Result<MailOptions> {
    let mut options = captured(folder, &config.mail_from)?;
    options.bounce_secret = config.mail_bounce_secret.clone();
    if config.is_development() {
        return Ok(options);
    }
    let Some(host) = &config.mail_host else {
        bail!("mail.host: the app uses mail, and in {} it needs a server to send it by", config.environment)
    };
    options.allowed = match config.environment.as_str() {
        "production" => Allowed::Everybody,
        _ => Allowed::Only(config.mail_allow.clone()),
    };
    let login = config.mail_user.clone().map(|user| (user, config.mail_password.clone().unwrap_or_default()));
    let authority = config.mail_authority.as_ref();
    let authority = authority
        .map(|path| std::fs::read(path).with_context(|| format!("mail.authority: {}", path.display())));
    let authority = authority.transpose()?;
    let from = options.from.clone();
    let address = (host.as_str(), config.mail_port);
    let smtp = Smtp::new(address, config.mail_tls, login, authority.as_deref(), SMTP_TIMEOUT, from);
    options.way = Way::Smtp(Box::new(smtp.map_err(|error| anyhow!("mail.host: {error}"))?));
    Ok(options)
}
