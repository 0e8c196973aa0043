//! The settings of what an app names itself: providers to sign in by.

mod saml;

use mainstay_identity::{OidcOptions, ProviderOptions, is_provider_url};

use super::super::Config;
use super::super::named::Named;
use super::super::parse::{list, yes};
use saml::{SAML, saml};

macro_rules! provider_settings {
    ($kind:literal, $options:path) => {
        [
            Named {
                name: concat!("identity.", $kind, ".NAME.label"),
                placeholder: "TEXT",
                default: "",
                help: "What the button to sign in by it says; its name unless said.",
                secret: false,
                apply: |config, name, text| {
                    $options(config, name).label = Some(text.to_owned());
                    Ok(())
                },
            },
            Named {
                name: concat!("identity.", $kind, ".NAME.tenant"),
                placeholder: "TENANT",
                default: "",
                help: "The tenant (its slug or id) that it vouches for: its people come in there as members, and nowhere else.",
                secret: false,
                apply: |config, name, text| {
                    $options(config, name).tenant = Some(text.to_owned());
                    Ok(())
                },
            },
            Named {
                name: concat!("identity.", $kind, ".NAME.register"),
                placeholder: "yes|no",
                default: "",
                help: "Whether somebody who is not known yet gets an account; as `identity.registration` says unless said.",
                secret: false,
                apply: |config, name, text| {
                    $options(config, name).register = Some(yes(text)?);
                    Ok(())
                },
            },
            Named {
                name: concat!("identity.", $kind, ".NAME.without_email"),
                placeholder: "yes|no",
                default: "no",
                help: "Whether an account is made for somebody whose verified address it does not tell.",
                secret: false,
                apply: |config, name, text| {
                    $options(config, name).without_email = yes(text)?;
                    Ok(())
                },
            },
            Named {
                name: concat!("identity.", $kind, ".NAME.link_by_email"),
                placeholder: "DOMAINS",
                default: "",
                help: "Domains of which it gives out the addresses itself, separated by commas: whoever it vouches for with a verified \
                       address of one is the user who has verified that address. None unless said: they sign in and link it themselves.",
                secret: false,
                apply: |config, name, text| {
                    let domains = list(text);
                    if domains.iter().any(|domain| domain.contains(['@', '*', '/']) || !domain.contains('.')) {
                        return Err("domains such as example.com".to_owned());
                    }
                    $options(config, name).link_by_email =
                        domains.iter().map(|domain| domain.to_ascii_lowercase()).collect();
                    Ok(())
                },
            },
            Named {
                name: concat!("identity.", $kind, ".NAME.keep"),
                placeholder: "NAMES",
                default: "",
                help: "Names of what it tells of somebody that is kept in `ExternalLogin`, separated by commas. Nothing unless said.",
                secret: false,
                apply: |config, name, text| {
                    $options(config, name).keep = list(text);
                    Ok(())
                },
            },
        ]
    };
}

/// What only an OpenID provider has.
const OIDC: [Named; 4] = [
    Named {
        name: "identity.oidc.NAME.issuer",
        placeholder: "URL",
        default: "",
        help: "The address by which the provider calls itself; below it is `/.well-known/openid-configuration`.",
        secret: false,
        apply: |config, name, text| {
            if !is_provider_url(text) {
                return Err("an https:// address (http:// on this machine alone)".to_owned());
            }
            oidc(config, name).issuer = text.to_owned();
            Ok(())
        },
    },
    Named {
        name: "identity.oidc.NAME.client_id",
        placeholder: "ID",
        default: "",
        help: "What the provider calls the app.",
        secret: false,
        apply: |config, name, text| {
            oidc(config, name).client_id = text.to_owned();
            Ok(())
        },
    },
    Named {
        name: "identity.oidc.NAME.client_secret",
        placeholder: "SECRET",
        default: "",
        help: "With which secret the app asks it; none for a public client.",
        secret: true,
        apply: |config, name, text| {
            if text.is_empty() {
                return Err("a secret".to_owned());
            }
            oidc(config, name).client_secret = Some(text.to_owned());
            Ok(())
        },
    },
    Named {
        name: "identity.oidc.NAME.scopes",
        placeholder: "NAMES",
        default: "openid,email,profile",
        help: "What is asked for, separated by commas.",
        secret: false,
        apply: |config, name, text| {
            let scopes = list(text);
            if !scopes.iter().any(|scope| scope == "openid") {
                return Err("scopes with openid among them".to_owned());
            }
            oidc(config, name).scopes = scopes;
            Ok(())
        },
    },
];

const OIDC_AS_ALL: [Named; 6] = provider_settings!("oidc", oidc_provider);
const SAML_AS_ALL: [Named; 6] = provider_settings!("saml", saml_provider);

/// The settings, in the order in which they are listed.
pub(crate) const NAMED: &[Named] = &joined::<
    { OIDC.len() + OIDC_AS_ALL.len() + SAML.len() + SAML_AS_ALL.len() },
>(&[&OIDC, &OIDC_AS_ALL, &SAML, &SAML_AS_ALL]);

const fn joined<const N: usize>(parts: &[&[Named]]) -> [Named; N] {
    let mut all = [parts[0][0]; N];
    let (mut place, mut part) = (0, 0);
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            all[place] = parts[part][index];
            place += 1;
            index += 1;
        }
        part += 1;
    }
    all
}

fn oidc<'c>(config: &'c mut Config, name: &str) -> &'c mut OidcOptions {
    config.identity.oidc.entry(name.to_owned()).or_default()
}

fn oidc_provider<'c>(config: &'c mut Config, name: &str) -> &'c mut ProviderOptions {
    &mut oidc(config, name).provider
}

fn saml_provider<'c>(config: &'c mut Config, name: &str) -> &'c mut ProviderOptions {
    &mut saml(config, name).provider
}
