//! What `use` may name: one table of the platform's capabilities.

/// A capability of the platform.
#[derive(Debug)]
pub struct Capability {
    /// Its name after `use`.
    pub name: &'static str,
    /// One line for the documents.
    pub docs: &'static str,
    /// Whether it stands on tables of the platform's, which a database that others made does not have.
    pub has_tables: bool,
}

const fn capability(name: &'static str, docs: &'static str) -> Capability {
    Capability { name, docs, has_tables: false }
}

const fn with_tables(name: &'static str, docs: &'static str) -> Capability {
    Capability { name, docs, has_tables: true }
}

/// Every capability, by name.
pub const CAPABILITIES: &[Capability] = &[
    capability("admin", "The admin page."),
    capability("bus", "Calls between services, and settings that nodes share."),
    capability("datasets", "Editable units, read whole and saved in one transaction."),
    capability("files", "Uploaded files under the rules of the rows that have them."),
    with_tables("flags", "Feature flags and settings, for everybody or for a tenant, changed live."),
    with_tables("identity", "Users, sign-in, roles and permissions."),
    with_tables("jobs", "Work that is queued in the transaction that asks for it."),
    capability("live", "Subscriptions to rows."),
    with_tables("mail", "Mail from templates."),
    with_tables("presence", "Who is connected, as a table."),
    capability("push", "Push messages to browsers."),
    with_tables("rules", "Rules that administrators add while the app runs."),
    with_tables("security", "Limits and certificates that servers share."),
    capability("streams", "Tables that change through commands and events."),
    capability("stripe", "Payments and subscriptions."),
];

/// The capability of a name.
pub fn find(name: &str) -> Option<&'static Capability> {
    CAPABILITIES.iter().find(|capability| capability.name == name)
}
