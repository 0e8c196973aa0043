//! The settings of providers that speak SAML.

use std::time::Duration;

use mainstay_identity::{SamlAnswer, SamlOptions, SamlRequest};

use super::super::super::Config;
use super::super::super::named::Named;
use super::super::super::parse::{duration, list, yes};

/// What only a provider has that speaks SAML.
pub(super) const SAML: [Named; 18] = [
    Named {
        name: "identity.saml.NAME.metadata",
        placeholder: "URL|FILE",
        default: "",
        help: "Where the metadata of the provider are: an https:// address, which is read anew every hour, or a file.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).metadata = text.to_owned();
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.metadata_certificates",
        placeholder: "FILE",
        default: "",
        help: "A file with certificates (PEM), of which one has to have signed the metadata. Nobody has to unless said.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).metadata_certificates = Some(text.into());
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.issuer",
        placeholder: "ID",
        default: "",
        help: "The entity id of the provider, where its metadata have several.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).issuer = Some(text.to_owned());
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.entity",
        placeholder: "ID",
        default: "",
        help: "What the app calls itself to the provider; the address of its own metadata unless said.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).entity = Some(text.to_owned());
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.key",
        placeholder: "FILE",
        default: "",
        help: "A file with the app's key (RSA, PKCS #8 in PEM). Made here unless said, and kept encrypted in the database.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).key = Some(text.into());
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.certificate",
        placeholder: "FILE",
        default: "",
        help: "A file with the certificate of the key (PEM).",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).certificate = Some(text.into());
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.request",
        placeholder: "redirect|post",
        default: "redirect",
        help: "How requests go to the provider: in an address, or in a form.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).request = match text {
                "redirect" => SamlRequest::Redirect,
                "post" => SamlRequest::Post,
                _ => return Err("redirect or post".to_owned()),
            };
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.answer",
        placeholder: "post|artifact",
        default: "post",
        help: "How its answers come: in a form, or by an artifact for which the app asks the provider itself.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).answer = match text {
                "post" => SamlAnswer::Post,
                "artifact" => SamlAnswer::Artifact,
                _ => return Err("post or artifact".to_owned()),
            };
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.name_format",
        placeholder: "URI",
        default: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
        help: "The form of names that it is asked for.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).name_format = text.to_owned();
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.subject",
        placeholder: "NAME",
        default: "",
        help: "The attribute that says who somebody is, and is never given to somebody else; the name of the assertion unless said.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).subject = Some(text.to_owned());
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.email",
        placeholder: "NAME",
        default: "",
        help: "The attribute with an address of mail.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).email = Some(text.to_owned());
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.email_verified",
        placeholder: "yes|no",
        default: "no",
        help: "Whether the provider makes sure that mail to that address reaches them.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).email_verified = yes(text)?;
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.name",
        placeholder: "NAME",
        default: "",
        help: "The attribute with what others call them.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).name = Some(text.to_owned());
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.contexts",
        placeholder: "URIS",
        default: "",
        help: "How somebody has to sign in there (authentication context classes), separated by commas. In any way unless said.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).contexts = list(text);
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.stronger",
        placeholder: "yes|no",
        default: "no",
        help: "Whether the first of the contexts or a stronger one is asked for, instead of one of them. The others are the stronger ones that are taken.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).stronger = yes(text)?;
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.sha1",
        placeholder: "yes|no",
        default: "no",
        help: "Whether signatures with SHA-1 are accepted. They can be forged with effort.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).sha1 = yes(text)?;
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.unsolicited",
        placeholder: "yes|no",
        default: "no",
        help: "Whether the provider may sign somebody in who has not asked here for it.",
        secret: false,
        apply: |config, name, text| {
            saml(config, name).unsolicited = yes(text)?;
            Ok(())
        },
    },
    Named {
        name: "identity.saml.NAME.skew",
        placeholder: "DURATION",
        default: "1m",
        help: "By how much its clock and this one may differ, up to 10m.",
        secret: false,
        apply: |config, name, text| {
            let skew = duration(text)?;
            if skew > Duration::from_secs(600) {
                return Err("at most 10m".to_owned());
            }
            saml(config, name).skew = skew;
            Ok(())
        },
    },
];

pub(super) fn saml<'c>(config: &'c mut Config, name: &str) -> &'c mut SamlOptions {
    config.identity.saml.entry(name.to_owned()).or_default()
}
