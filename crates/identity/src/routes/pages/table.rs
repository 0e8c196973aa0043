//! The pages that are one form each: what they say, what they ask for, where they lead.

use mainstay_engine::error::{Error, Key};
use serde::Serialize;

/// A page.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) intro: &'static str,
    pub(super) button: &'static str,
    #[serde(skip)]
    pub(super) fields: &'static [Field],
    #[serde(skip)]
    pub(super) links: &'static [&'static str],
    /// What is said when it is done; none: the app is shown.
    #[serde(skip)]
    pub(super) done: Option<&'static str>,
}

/// A value that a page asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: &'static str,
    pub(super) fill: &'static str,
}

const fn field(name: &'static str, label: &'static str, kind: &'static str, fill: &'static str) -> Field {
    Field { name, label, kind, fill }
}

const EMAIL: Field = field("email", "E-mail", "email", "username");
/// Where browsers offer passkeys as well.
const KNOWN: Field = field("email", "E-mail", "email", "username webauthn");
const PASSWORD: Field = field("password", "Password", "password", "current-password");
const NEW_PASSWORD: Field = field("password", "New password", "password", "new-password");
const TOKEN: Field = field("token", "", "hidden", "off");

pub(super) const PAGES: &[Page] = &[
    Page {
        name: "login",
        title: "Sign in",
        intro: "",
        button: "Sign in",
        fields: &[KNOWN, PASSWORD],
        links: &["register", "forgot", "magic-request"],
        done: None,
    },
    Page {
        name: "code",
        title: "Second factor",
        intro: "Enter the code of your app, or one of your recovery codes.",
        button: "Go on",
        fields: &[field("code", "Code", "text", "one-time-code"), field("ticket", "", "hidden", "off")],
        links: &["login"],
        done: None,
    },
    Page {
        name: "mail-code",
        title: "Second factor",
        intro: "We have sent you a code by mail.",
        button: "Go on",
        fields: &[field("code", "Code", "text", "one-time-code"), field("ticket", "", "hidden", "off")],
        links: &["login"],
        done: None,
    },
    Page {
        name: "confirm",
        title: "Is it you?",
        intro: "This is only for whoever has just shown who they are.",
        button: "Go on",
        fields: &[PASSWORD],
        links: &["confirm-code"],
        done: None,
    },
    Page {
        name: "confirm-code",
        title: "Is it you? By a code",
        intro: "Enter the code of your app, or one of your recovery codes.",
        button: "Go on",
        fields: &[field("code", "Code", "text", "one-time-code")],
        links: &["confirm"],
        done: None,
    },
    Page {
        name: "register",
        title: "Make an account",
        intro: "",
        button: "Make an account",
        fields: &[field("name", "Name", "text", "name"), EMAIL, NEW_PASSWORD],
        links: &["login"],
        done: Some("We have sent you a mail. Use the link in it to confirm your address."),
    },
    Page {
        name: "verify",
        title: "Confirm your address",
        intro: "",
        button: "Confirm",
        fields: &[TOKEN],
        links: &["login"],
        done: Some("Your address is confirmed. You can sign in now."),
    },
    Page {
        name: "change",
        title: "Confirm your new address",
        intro: "",
        button: "Confirm",
        fields: &[TOKEN],
        links: &["login"],
        done: Some("Your new address is confirmed."),
    },
    Page {
        name: "forgot",
        title: "Forgotten password",
        intro: "We send you a link to choose a new one.",
        button: "Send the link",
        fields: &[EMAIL],
        links: &["login"],
        done: Some("If there is an account with this address, a mail is on its way."),
    },
    Page {
        name: "reset",
        title: "Choose a new password",
        intro: "",
        button: "Set the password",
        fields: &[NEW_PASSWORD, TOKEN],
        links: &["login"],
        done: Some("Your password is set, and every device was signed out. You can sign in now."),
    },
    Page {
        name: "renew",
        title: "Choose a new password",
        intro: "Your password is too old.",
        button: "Set the password",
        fields: &[NEW_PASSWORD, field("ticket", "", "hidden", "off")],
        links: &["login"],
        done: None,
    },
    Page {
        name: "magic-request",
        title: "Sign in by mail",
        intro: "We send you a link to sign in by.",
        button: "Send the link",
        fields: &[EMAIL],
        links: &["login"],
        done: Some("If there is an account with this address, a mail is on its way."),
    },
    Page {
        name: "magic",
        title: "Sign in",
        intro: "",
        button: "Sign in",
        fields: &[TOKEN],
        links: &["login"],
        done: None,
    },
    Page {
        name: "invitation",
        title: "Accept the invitation",
        intro: "",
        button: "Accept",
        fields: &[TOKEN],
        links: &["login"],
        done: Some("You have joined."),
    },
];

pub(super) fn page_of(name: &str) -> Result<&'static Page, Error> {
    PAGES.iter().find(|page| page.name == name).ok_or_else(|| Error::new(Key::RouteUnknown, ""))
}
