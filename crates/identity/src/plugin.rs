//! Identity as a capability: its tables, what it says of callers, its routes and jobs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mainstay_engine::Engine;
use mainstay_engine::error::Error;
use mainstay_engine::plugin::{CallerPart, Plugin, Setup};
use mainstay_http::{SetupAuthenticate as _, SetupHttp as _};
use mainstay_jobs::{CatchUp, Definition, JobError, JobSetup as _, Running, Schedule, Scheduled};
use mainstay_lang::expr::{CallerFact, Node};
use mainstay_lang::schema::Schema;
use mainstay_mail::{BroughtTemplates, MailSealer};
use serde_json::{Value as Json, json};

use crate::desk::{Desk, is_race};
use crate::identity::Identity;
use crate::options::IdentityOptions;
use crate::{letters, notice, routes, rules};

/// The tables of the capability.
pub const IDENTITY_TABLES: &str = include_str!("identity.stay");

/// What the capability itself asks for.
const PERMISSIONS: [&str; 7] = [
    "identity/audit",
    "identity/impersonate",
    "identity/members",
    "identity/roles",
    "identity/sessions",
    "identity/tenants",
    "identity/users",
];

macro_rules! mail_templates {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("mail/", $name)))),+]
    };
}

/// Mail as it is written where the app has no template of that name.
const MAIL: [(&str, &str); 45] = mail_templates![
    "identity-layout.html",
    "identity-change.html",
    "identity-change.txt",
    "identity-changed.html",
    "identity-changed.txt",
    "identity-code.html",
    "identity-code.txt",
    "identity-email-changed.html",
    "identity-email-changed.txt",
    "identity-exists.html",
    "identity-exists.txt",
    "identity-invitation.html",
    "identity-invitation.txt",
    "identity-key-made.html",
    "identity-key-made.txt",
    "identity-linked.html",
    "identity-linked.txt",
    "identity-magic.html",
    "identity-magic.txt",
    "identity-new-device.html",
    "identity-new-device.txt",
    "identity-passkey-added.html",
    "identity-passkey-added.txt",
    "identity-passkey-copied.html",
    "identity-passkey-copied.txt",
    "identity-passkey-removed.html",
    "identity-passkey-removed.txt",
    "identity-recovery-codes.html",
    "identity-recovery-codes.txt",
    "identity-recovery-used.html",
    "identity-recovery-used.txt",
    "identity-reset.html",
    "identity-reset.txt",
    "identity-reused.html",
    "identity-reused.txt",
    "identity-totp-disabled.html",
    "identity-totp-disabled.txt",
    "identity-totp-enabled.html",
    "identity-totp-enabled.txt",
    "identity-totp-reused.html",
    "identity-totp-reused.txt",
    "identity-unlinked.html",
    "identity-unlinked.txt",
    "identity-verify.html",
    "identity-verify.txt",
];

/// The capability.
pub struct IdentityPlugin {
    options: IdentityOptions,
    schema: String,
}

impl IdentityPlugin {
    /// Identities that are kept so.
    pub fn new(options: IdentityOptions) -> IdentityPlugin {
        IdentityPlugin { schema: tables(&options), options }
    }
}

impl Plugin for IdentityPlugin {
    fn name(&self) -> &str {
        "identity"
    }

    fn schema(&self) -> &str {
        &self.schema
    }

    fn build(&self, setup: &mut Setup<'_>) {
        let identity = match Identity::new(self.options.clone()) {
            Ok(identity) => Arc::new(identity),
            Err(words) => return setup.problem(words),
        };
        let held = "holder == $user and (within == null or within == $tenant)";
        setup
            .caller(
                CallerPart::Permissions,
                ("RolePermission", "permission", &format!("role.holders.any({held})")),
            )
            .caller(CallerPart::Roles, ("Role", "name", &format!("holders.any({held})")))
            .caller(
                CallerPart::Session,
                (
                    "Session",
                    "scopes, confirmed, confirmed_twice",
                    "id == $session and owner == $user and ended == null and owner.blocked == null",
                ),
            )
            .caller(CallerPart::Membership, ("Membership", "id", "member == $user and of == $tenant"))
            .caller_table("Tenant");
        rules::build(setup);
        setup.table("User").on_update(notice::address_changed);
        setup.on_open(permissions_declare);
        setup.part::<BroughtTemplates>().0.extend(MAIL);
        setup.keep(MailSealer(identity.mail_sealer.clone()));
        setup.authenticate(identity.clone());
        setup.route_table(routes::table(), identity.clone());
        setup.job(letters::definition(identity.clone()));
        match Schedule::parse("17 3 * * *", "UTC") {
            Ok(schedule) => {
                let handler = move |job: Running, at: Scheduled| sweep(identity.clone(), job, at);
                let sweep = Definition::new("identity.sweep", handler).timeout(Duration::from_secs(300));
                setup.job(sweep.schedule(schedule, CatchUp::Latest));
            }
            Err(words) => setup.problem(words),
        }
    }
}

/// The tables, whose rules ask for a second factor beside each permission of the capability's own where that is set: so it is asked for
/// on every way to the rows, and told as by any other rule.
fn tables(options: &IdentityOptions) -> String {
    let seconds = options.admin_second_factor.as_secs();
    if seconds == 0 {
        return IDENTITY_TABLES.to_owned();
    }
    PERMISSIONS.iter().fold(IDENTITY_TABLES.to_owned(), |text, name| {
        let asked = format!("user.can(\"{name}\")");
        text.replace(&asked, &format!("({asked} and user.confirmed_twice({seconds} seconds))"))
    })
}

/// The permissions that an app's rules ask for, and the capability's own.
pub(crate) fn permissions_of(schema: &Schema) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = PERMISSIONS.iter().map(|name| (*name).to_owned()).collect();
    for rule in schema.tables.iter().flat_map(|table| &table.rules) {
        let Some(condition) = &rule.condition else { continue };
        condition.walk(&mut |of| {
            if let Node::Caller(CallerFact::Can(name)) = &of.node {
                names.insert(name.clone());
            }
        });
    }
    names
}

/// Makes a row of each permission that rules ask for, so that roles can have it. Those that nothing asks for any more stay: roles may
/// have them, and they give nothing.
async fn permissions_declare(engine: Arc<Engine>) -> Result<(), Error> {
    let desk = Desk::at(&engine, mainstay_jobs::Clock::default().now(), &Arc::default());
    let rows = desk.rows("Permission", "id != \"\"", &[]).await?;
    let known: BTreeSet<String> = rows.iter().map(|row| row.key().to_string()).collect();
    for name in permissions_of(engine.schema()).difference(&known) {
        match desk.ask(vec![json!({"Permission": {"create": true, "id": name}})]).await {
            Ok(_) => {}
            // Another node was as early.
            Err(error) if is_race(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Forgets what is of no use any more, by night.
async fn sweep(identity: Arc<Identity>, job: Running, at: Scheduled) -> Result<(), JobError> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let before = |days: u32| Json::String(crate::desk::earlier(at.at, DAY * days).to_string());
    let swept = async {
        let desk = Desk::new(job.engine(), &job.ctx(), &identity.lookups);
        desk.ask(vec![
            json!({"OneTimeToken": {"expires": {"lt": before(1)}, "delete": true}}),
            json!({"SamlAssertion": {"expires": {"lt": before(1)}, "delete": true}}),
            json!({"MailCode": {"expires": {"lt": before(1)}, "delete": true}}),
            json!({"LoginAttempt": {"last": {"lt": before(1)}, "delete": true}}),
            json!({"Session": {"expires": {"lt": before(30)}, "delete": true}}),
            json!({"Session": {"ended": {"lt": before(30)}, "delete": true}}),
            json!({"SigningKey": {"ends": {"lt": before(1)}, "delete": true}}),
        ])
        .await
    };
    swept.await.map(drop).map_err(|error| JobError::Retry(error.to_string()))
}
