//! The settings of capabilities: mail, identity, flags, push.

use std::time::Duration;

use mainstay_mail::Tls;

use super::super::parse::{duration, list, size, yes};
use super::super::setting::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "mail.from",
        flag: "mail-from",
        placeholder: "ADDRESS",
        default: "app@localhost",
        help: "Who mail comes from: Shop <shop@example.com>.",
        secret: false,
        apply: |config, text| {
            config.mail_from = text.to_owned();
            Ok(())
        },
    },
    Setting {
        name: "mail.host",
        flag: "mail-host",
        placeholder: "NAME",
        default: "",
        help: "The mail server. In development mail is captured instead.",
        secret: false,
        apply: |config, text| {
            config.mail_host = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "mail.port",
        flag: "mail-port",
        placeholder: "PORT",
        default: "587",
        help: "Its port.",
        secret: false,
        apply: |config, text| {
            config.mail_port = text.parse().map_err(|_| "a port".to_owned())?;
            Ok(())
        },
    },
    Setting {
        name: "mail.tls",
        flag: "mail-tls",
        placeholder: "starttls|wrapped|none",
        default: "starttls",
        help: "How the connection to it is encrypted: from within before anything is said, from the first byte, or not at all.",
        secret: false,
        apply: |config, text| {
            config.mail_tls = match text {
                "starttls" => Tls::StartTls,
                "wrapped" => Tls::Wrapped,
                "none" => Tls::None,
                _ => return Err("starttls, wrapped or none".to_owned()),
            };
            Ok(())
        },
    },
    Setting {
        name: "mail.user",
        flag: "mail-user",
        placeholder: "NAME",
        default: "",
        help: "As whom it is signed in to.",
        secret: false,
        apply: |config, text| {
            config.mail_user = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "mail.password",
        flag: "mail-password",
        placeholder: "PASSWORD",
        default: "",
        help: "With which password.",
        secret: true,
        apply: |config, text| {
            config.mail_password = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "mail.authority",
        flag: "mail-authority",
        placeholder: "FILE",
        default: "",
        help: "A certificate (PEM) that its own is signed by, when the system does not know it.",
        secret: false,
        apply: |config, text| {
            config.mail_authority = Some(text.into());
            Ok(())
        },
    },
    Setting {
        name: "mail.allow",
        flag: "mail-allow",
        placeholder: "ADDRESSES",
        default: "",
        help: "Who gets mail elsewhere than in production, separated by commas; @example.com is everybody there. Nobody unless said.",
        secret: false,
        apply: |config, text| {
            config.mail_allow = list(text);
            Ok(())
        },
    },
    Setting {
        name: "mail.bounce_secret",
        flag: "mail-bounce-secret",
        placeholder: "SECRET",
        default: "",
        help: "What a mail service gives as password or token when it says at /mail/bounces that a mail came back: at least 16 \
               characters. Without it there is no such path.",
        secret: true,
        apply: |config, text| {
            if text.len() < 16 {
                return Err("at least 16 characters".to_owned());
            }
            config.mail_bounce_secret = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "flags.shown",
        flag: "flags-shown",
        placeholder: "NAMES",
        default: "",
        help: "Names of the app's settings that clients may see as they see its flags, separated by commas. None unless said.",
        secret: false,
        apply: |config, text| {
            config.flags_shown = list(text);
            Ok(())
        },
    },
    Setting {
        name: "push.contact",
        flag: "push-contact",
        placeholder: "ADDRESS",
        default: "",
        help: "Whom push services write to when something is wrong with the messages of this app: mailto:ann@example.com, or an \
               address that begins with https://. Unless said, http.url, or else mail.from.",
        secret: false,
        apply: |config, text| {
            if !(text.starts_with("mailto:") || text.starts_with("https://")) {
                return Err("an address that begins with mailto: or https://".to_owned());
            }
            config.push_contact = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "identity.registration",
        flag: "identity-registration",
        placeholder: "yes|no",
        default: "yes",
        help: "Whether people make accounts by themselves.",
        secret: false,
        apply: |config, text| {
            config.identity.registration = yes(text)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.verified",
        flag: "identity-verified",
        placeholder: "yes|no",
        default: "yes",
        help: "Whether an address has to be verified before its owner signs in. no: registering tells whether an address has an account.",
        secret: false,
        apply: |config, text| {
            config.identity.verified_only = yes(text)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.anonymous",
        flag: "identity-anonymous",
        placeholder: "yes|no",
        default: "no",
        help: "Whether somebody may come without saying who they are.",
        secret: false,
        apply: |config, text| {
            config.identity.anonymous = yes(text)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.access",
        flag: "identity-access",
        placeholder: "DURATION",
        default: "15m",
        help: "How long an access token is good for.",
        secret: false,
        apply: |config, text| {
            config.identity.access_ttl = at_least_one_second(duration(text)?)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.idle",
        flag: "identity-idle",
        placeholder: "DURATION",
        default: "30d",
        help: "How long a session lasts without being used.",
        secret: false,
        apply: |config, text| {
            config.identity.idle_max = at_least_one_second(duration(text)?)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.session",
        flag: "identity-session",
        placeholder: "DURATION",
        default: "365d",
        help: "How long a session lasts at most.",
        secret: false,
        apply: |config, text| {
            config.identity.session_max = at_least_one_second(duration(text)?)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.recent",
        flag: "identity-recent",
        placeholder: "DURATION",
        default: "10m",
        help: "How long a password or code that was shown is good for what is delicate.",
        secret: false,
        apply: |config, text| {
            config.identity.recent = at_least_one_second(duration(text)?)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.mail_code",
        flag: "identity-mail-code",
        placeholder: "yes|no",
        default: "no",
        help: "Whether a code is sent by mail after the password of whoever has no second factor of their own.",
        secret: false,
        apply: |config, text| {
            config.identity.mail_code = yes(text)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.magic",
        flag: "identity-magic",
        placeholder: "yes|no",
        default: "yes",
        help: "Whether a link in mail signs in.",
        secret: false,
        apply: |config, text| {
            config.identity.magic = yes(text)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.mail_new_device",
        flag: "identity-mail-new-device",
        placeholder: "yes|no",
        default: "yes",
        help: "Whether somebody is told by mail of a sign-in on a device that is new to their account.",
        secret: false,
        apply: |config, text| {
            config.identity.mail_new_device = yes(text)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.admin_second_factor",
        flag: "identity-admin-second-factor",
        placeholder: "DURATION",
        default: "0s",
        help: "How long ago at most whoever uses a permission of identity's own (identity/…) has shown a second factor. 0s: none is asked for.",
        secret: false,
        apply: |config, text| {
            let within = duration(text)?;
            config.identity.admin_second_factor =
                if within.is_zero() { within } else { at_least_one_second(within)? };
            Ok(())
        },
    },
    Setting {
        name: "identity.sessions",
        flag: "identity-sessions",
        placeholder: "N",
        default: "50",
        help: "Sessions that somebody has at a time; another one ends the one that was not used for longest. 0: any number.",
        secret: false,
        apply: |config, text| {
            config.identity.sessions_per_user = size(text)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.style",
        flag: "identity-style",
        placeholder: "PATH",
        default: "",
        help: "The style sheet of the pages to sign in by, such as /auth.css in the app's public folder.",
        secret: false,
        apply: |config, text| {
            if !text.starts_with('/') || text.starts_with("//") {
                return Err("a path such as /auth.css".to_owned());
            }
            config.identity.style = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "identity.password_length",
        flag: "identity-password-length",
        placeholder: "N",
        default: "12",
        help: "Characters that a password has at least when it is chosen; those that were chosen before stay good.",
        secret: false,
        apply: |config, text| {
            config.identity.password.length_min = size(text)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.password_days",
        flag: "identity-password-days",
        placeholder: "N",
        default: "0",
        help: "Days that a password is good for; whoever signs in with an older one has to choose another. 0: for ever.",
        secret: false,
        apply: |config, text| {
            config.identity.password.days_max = small(text)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.password_remembered",
        flag: "identity-password-remembered",
        placeholder: "N",
        default: "0",
        help: "How many of somebody's last passwords, the present one included, are not taken again: at most 24. 0: any is.",
        secret: false,
        apply: |config, text| {
            // Each is a hash to be made, which takes a while by design.
            config.identity.password.remembered =
                size(text).ok().filter(|last| *last <= 24).ok_or("at most 24")?;
            Ok(())
        },
    },
    Setting {
        name: "identity.password_list",
        flag: "identity-password-list",
        placeholder: "FILE",
        default: "",
        help: "A file of passwords that nobody may take, sorted by bytes: plain, or SHA-1 in hexadecimal as lists of breached passwords are. None unless said.",
        secret: false,
        apply: |config, text| {
            config.identity.password_list = Some(text.into());
            Ok(())
        },
    },
    Setting {
        name: "identity.password_memory",
        flag: "identity-password-memory",
        placeholder: "N",
        default: "19456",
        help: "Memory of one password's hash, in KiB (Argon2id).",
        secret: false,
        apply: |config, text| {
            config.identity.password.memory_kib = small(text)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.password_passes",
        flag: "identity-password-passes",
        placeholder: "N",
        default: "2",
        help: "Passes of one password's hash over its memory.",
        secret: false,
        apply: |config, text| {
            config.identity.password.passes = small(text)?;
            Ok(())
        },
    },
    Setting {
        name: "identity.password_threads",
        flag: "identity-password-threads",
        placeholder: "N",
        default: "0",
        help: "Hashes of passwords made at a time; 0: half as many as there are processors.",
        secret: false,
        apply: |config, text| {
            config.identity.password.threads = size(text)?;
            Ok(())
        },
    },
];

fn small(text: &str) -> Result<u32, String> {
    u32::try_from(size(text)?).map_err(|_| "a number below 4294967296".to_owned())
}

fn at_least_one_second(of: Duration) -> Result<Duration, String> {
    if of < Duration::from_secs(1) { Err("at least 1s".to_owned()) } else { Ok(of) }
}
