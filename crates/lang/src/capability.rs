//! What `use` may name: one table of the platform's capabilities.

/// A capability of the platform.
#[derive(Debug)]
pub struct Capability {
    /// Its name after `use`.
    pub name: &'static str,
    /// One line for the documents.
    pub docs: &'static str,
}

const fn capability(name: &'static str, docs: &'static str) -> Capability {
    Capability { name, docs }
}

/// Every capability, by name.
pub const CAPABILITIES: &[Capability] = &[
    capability("admin", "The admin page."),
    capability("bus", "Calls between services, and settings that nodes share."),
    capability("datasets", "Editable units, read whole and saved in one transaction."),
    capability("files", "Uploaded files under the rules of the rows that have them."),
    capability("flags", "Feature flags, global and per tenant."),
    capability("identity", "Users, sign-in, roles and permissions."),
    capability("jobs", "Work that is queued in the transaction that asks for it."),
    capability("live", "Subscriptions to rows."),
    capability("mail", "Mail from templates."),
    capability("presence", "Who is connected, as a table."),
    capability("push", "Push messages to browsers."),
    capability("streams", "Tables that change through commands and events."),
    capability("stripe", "Payments and subscriptions."),
];

/// The capability of a name.
pub fn find(name: &str) -> Option<&'static Capability> {
    CAPABILITIES.iter().find(|capability| capability.name == name)
}
