//! Why an answer of an identity provider is not believed: stable keys, and words for whoever set it up.

use super::encryption::EncryptionError;
use super::signature::SignatureError;
use super::xml::XmlError;

/// Why an answer is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("The message is not as messages of SAML are: {0}.")]
    Xml(#[from] XmlError),
    #[error("The message is no response.")]
    NotAResponse,
    #[error("The response or its assertion is not of version 2.0, or has no identifier.")]
    Version,
    #[error("Its signature does not hold: {0}.")]
    Signature(#[from] SignatureError),
    #[error("Neither the response nor its assertion is signed.")]
    Unsigned,
    #[error("Its assertion could not be decrypted: {0}.")]
    Encryption(#[from] EncryptionError),
    #[error("The response has {0} assertions; there has to be one.")]
    Assertions(usize),
    #[error("It was issued by another identity provider.")]
    Issuer,
    #[error("It is meant for another place: its `Destination` is not where it was sent.")]
    Destination,
    #[error("It is meant for another place: its `Recipient` is not where it was sent.")]
    Recipient,
    #[error("It is meant for another service: its `Audience` does not name this one.")]
    Audience,
    #[error("It answers no sign-in that was started here.")]
    Request,
    #[error("It is too old.")]
    Expired,
    #[error("It is not good yet: the clocks differ by too much.")]
    Early,
    #[error("Its `{0}` is no time with an offset.")]
    Time(&'static str),
    #[error(
        "Nothing confirms that whoever brings it may do so: it has no `bearer` confirmation with `NotOnOrAfter`."
    )]
    Confirmation,
    #[error("It has a condition that is not known.")]
    Condition,
    #[error("It does not say how and when somebody signed in.")]
    Statement,
    #[error("Somebody should have signed in anew, and did not.")]
    NotAnew,
    #[error("Somebody signed in in another way than was asked for.")]
    Context,
    #[error("The name in it is encrypted, which is not read.")]
    EncryptedId,
    #[error("It has too many values.")]
    TooManyValues,
    #[error("It does not say who somebody is: {0} is missing.")]
    Subject(String),
    #[error("It was used before.")]
    Replayed,
    #[error("The artifact is none of the provider's.")]
    Artifact,
    #[error("The identity provider was asked for the response and did not give it: {0}.")]
    BackChannel(String),
    #[error("The identity provider has not signed anybody in: {0}.")]
    Status(&'static str),
}

impl Refused {
    /// A stable key.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Refused::Xml(_) | Refused::NotAResponse | Refused::Version | Refused::TooManyValues => "message",
            Refused::Signature(SignatureError::Algorithm(_)) => "algorithm",
            Refused::Signature(_) => "signature",
            Refused::Unsigned => "unsigned",
            Refused::Encryption(_) | Refused::EncryptedId => "encryption",
            Refused::Assertions(_) => "assertions",
            Refused::Issuer => "issuer",
            Refused::Destination => "destination",
            Refused::Recipient => "recipient",
            Refused::Audience => "audience",
            Refused::Request => "request",
            Refused::Expired => "expired",
            Refused::Early => "early",
            Refused::Time(_) | Refused::Confirmation | Refused::Condition | Refused::Statement => "statement",
            Refused::NotAnew | Refused::Context => "context",
            Refused::Subject(_) => "subject",
            Refused::Replayed => "replayed",
            Refused::Artifact => "artifact",
            Refused::BackChannel(_) => "unreachable",
            Refused::Status(_) => "status",
        }
    }

    /// A status that is not success. The words are ours: a message may not be signed, and whoever made it would speak by them.
    pub(crate) fn status(code: &str, inner: Option<&str>) -> Refused {
        let name = |uri: &str| uri.strip_prefix("urn:oasis:names:tc:SAML:2.0:status:").map(str::to_owned);
        let inner = inner.and_then(name);
        Refused::Status(match (name(code).as_deref(), inner.as_deref()) {
            (_, Some("AuthnFailed")) => "signing in there has failed or was given up",
            (_, Some("RequestDenied")) => "it has refused the request",
            (_, Some("NoAuthnContext")) => "nobody can sign in there in the way that was asked for",
            (_, Some("NoPassive")) => "somebody would have had to do something",
            (_, Some("InvalidNameIDPolicy")) => "it has no names of the form that was asked for",
            (_, Some("UnknownPrincipal")) => "it does not know who that is",
            (_, Some("NoAvailableIDP" | "NoSupportedIDP")) => "it could not pass the request on",
            (Some("Requester"), _) => "the request was wrong, by its judgement",
            (Some("Responder"), _) => "it could not answer the request",
            (Some("VersionMismatch"), _) => "it speaks another version",
            _ => "it has answered with a status that is not known",
        })
    }
}
