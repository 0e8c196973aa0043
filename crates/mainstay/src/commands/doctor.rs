//! `mainstay doctor`: is everything there and well? Every finding is printed; one that is bad makes it fail. What weakens the app is a
//! warning, with which it fails when it is asked to be strict.

mod hazards;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow, bail};
use mainstay_flags::Flags;
use mainstay_security::ServerCertificate;
use serde_json::json;

use crate::backups::Plan;
use crate::cli::App;
use crate::commands::check;
use crate::output::{Output, Usage};
use crate::runtime::{Runtime, load_settings, now};
use crate::settings::{self, Config};

/// The start of 2024: a clock before that is wrong.
const EARLIEST_S: u64 = 1_704_067_200;

/// Whoever makes certificates anew has done so when so many days are left.
const CERTIFICATE_DAYS: u64 = 14;
const DAY_S: u64 = 24 * 3600;

struct Finding {
    subject: &'static str,
    well: bool,
    words: String,
}

/// Looks at settings, schema, data folder, secret, certificate, clock, database and backups.
pub(crate) fn run(output: Output, app: &App, strict: bool) -> Result<()> {
    let mut findings = Vec::new();
    let mut note = |subject, found: Result<String>| {
        let well = found.is_ok();
        let words = found.unwrap_or_else(|error| format!("{error:#}"));
        findings.push(Finding { subject, well, words });
        well
    };
    let loaded = match load_settings(output, app) {
        // What was typed wrong is no finding about the app.
        Err(error) if error.is::<Usage>() => return Err(error),
        loaded => loaded,
    };
    let config = loaded.as_ref().ok().map(|loaded| loaded.config.clone());
    note(
        "settings",
        loaded.map(|loaded| {
            format!("environment {}, {} unread names", loaded.config.environment, loaded.warnings.len())
        }),
    );
    let schema = check::schema(output, app);
    let own = schema.is_ok().then(|| check::own_schema(output, app).ok()).flatten();
    let schema_is_well = note("schema", schema.map(|schema| format!("{} tables", schema.tables.len())));
    note("clock", clock());
    if let Some(config) = &config {
        let folder_is_well = note("data folder", data_folder(&config.data_dir(&app.folder)));
        note("secret", secret(config, &app.folder));
        if let (Some(cert), Some(key)) = (&config.tls_cert, &config.tls_key) {
            note("certificate", certificate(cert, key));
        }
        if schema_is_well && folder_is_well {
            note("database", database(output, app));
            if let Some(found) = flags(output, app) {
                note("flags", found);
            }
        }
        if schema_is_well && config.backup_schedule.is_some() {
            note("backups", backups(output, config, app));
        }
    }
    let hazards = match (&config, &own) {
        (Some(config), Some(schema)) => hazards::of(config, schema),
        _ => Vec::new(),
    };
    let ill = findings.iter().filter(|finding| !finding.well).count();
    if output.json {
        let list: Vec<_> = findings
            .iter()
            .map(|finding| json!({"subject": finding.subject, "well": finding.well, "words": finding.words}))
            .collect();
        let warnings: Vec<_> =
            hazards.iter().map(|hazard| json!({"name": hazard.name, "words": hazard.words})).collect();
        output.line(&json!({"well": ill == 0, "findings": list, "warnings": warnings}).to_string())?;
    } else {
        for finding in &findings {
            let mark = if finding.well { "ok  " } else { "BAD " };
            output.line(&format!("{mark} {:12} {}", finding.subject, finding.words))?;
        }
        for hazard in &hazards {
            output.line(&format!("warn {}: {}", hazard.name, hazard.words))?;
        }
    }
    if ill > 0 {
        bail!("{ill} of {} are not well", findings.len())
    }
    if strict && !hazards.is_empty() {
        bail!("{} settings weaken the app", hazards.len())
    }
    Ok(())
}

fn clock() -> Result<String> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if seconds < EARLIEST_S {
        bail!("the system's clock says that it is before 2024; tokens and `created` would be wrong");
    }
    Ok(format!("{seconds} s since 1970"))
}

/// Writing is tried, for permissions say little about full or read-only disks.
fn data_folder(folder: &Path) -> Result<String> {
    std::fs::create_dir_all(folder)?;
    let probe = folder.join(".doctor");
    std::fs::write(&probe, [0u8; 64 * 1024])?;
    std::fs::remove_file(&probe)?;
    Ok(format!("{} can be written", folder.display()))
}

fn secret(config: &Config, folder: &Path) -> Result<String> {
    settings::auth_secret(config, folder)?;
    Ok(if config.auth_secret.is_some() { "set".to_owned() } else { "kept in the data folder".to_owned() })
}

/// A certificate that ends soon is one that nobody makes anew.
fn certificate(cert: &Path, key: &Path) -> Result<String> {
    let ends_s = ServerCertificate::ends_of_files(cert, key)?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match ends_s.saturating_sub(now_s) / DAY_S {
        0 => bail!("it has ended, or ends within a day"),
        days if days < CERTIFICATE_DAYS => bail!("it ends in {days} days"),
        days => Ok(format!("good for {days} days")),
    }
}

fn backups(output: Output, config: &Config, app: &App) -> Result<String> {
    let schema = check::own_schema(output, app)?;
    Plan::of(config, app, &schema.app)?.map_or(Ok("none are asked for".to_owned()), |plan| plan.health(now()))
}

/// Values that were changed once, and that nobody is served any more; `None`: the app has no flags, or cannot be opened.
fn flags(output: Output, app: &App) -> Option<Result<String>> {
    let runtime = Runtime::open(output, app).ok()?;
    let flags = Flags::of(runtime.engine.parts()).ok()?;
    let strays: Vec<String> =
        flags.strays().iter().map(|stray| format!("{}: {}", stray.name, stray.why)).collect();
    if strays.is_empty() {
        return Some(Ok(format!("{} are declared, and every value fits", flags.declared().count())));
    }
    let words = strays.join("; ");
    Some(Err(anyhow!("kept and not served (`mainstay flags {} unset NAME`): {words}", app.folder.display())))
}

fn database(output: Output, app: &App) -> Result<String> {
    let runtime = Runtime::open(output, app)?;
    let mut problems = runtime.block_on(runtime.engine.store().integrity_check())?;
    // A rule that cannot be read lets nobody do more, but it may keep many from what is theirs.
    let planning = runtime.block_on(runtime.engine.planning())?;
    let broken = planning.catalog().overrides().broken();
    problems.extend(
        broken.map(|(id, words)| format!("the RuleOverride {} cannot be read: {words}", id.to_json())),
    );
    if problems.is_empty() {
        Ok("opens, fits the schema, is intact".to_owned())
    } else {
        bail!("{}", problems.join("; "))
    }
}
