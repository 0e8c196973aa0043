//! XML as messages of SAML may be written: small, shallow, and with nothing in it that two readers could read differently.
//!
//! No declaration of a document type and so no entity, no comment and no processing instruction, no identifier twice. What is read
//! is never repaired: a message that is not so is refused before anything else is looked at. It knows nothing of what messages mean.

use uppsala::{Document, NodeId, NodeKind, Parser};

/// Namespaces.
pub(crate) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub(crate) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(crate) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
pub(crate) const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const ENCRYPTION: &str = "http://www.w3.org/2001/04/xmlenc#";
pub(crate) const ENCRYPTION11: &str = "http://www.w3.org/2009/xmlenc11#";
pub(crate) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(crate) const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// Bytes that a message has at most. One of an identity provider has ten or twenty thousand.
pub(crate) const MESSAGE_BYTES_MAX: usize = 256 << 10;
/// Bytes that metadata have at most: of a provider, or a small federation.
pub(crate) const METADATA_BYTES_MAX: usize = 1 << 20;
/// Elements within each other at most.
const DEPTH_MAX: u32 = 40;

/// Why a text is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XmlError {
    #[error("it has more than {0} bytes")]
    TooLarge(usize),
    #[error("it is not UTF-8")]
    Encoding,
    #[error("it is not well-formed XML without a document type: {0}")]
    Malformed(String),
    #[error("it has a comment or processing instruction, which no message needs")]
    Comment,
    #[error("the identifier `{0}` stands in it twice")]
    DuplicateId(String),
    #[error("<{0}> is missing")]
    Missing(&'static str),
    #[error("<{0}> stands there more than once")]
    Repeated(&'static str),
    #[error("the text of <{0}> has elements in it")]
    Mixed(String),
}

/// The text of bytes.
///
/// # Errors
/// When they are too many, or not UTF-8.
pub(crate) fn text_of(bytes: &[u8], bytes_max: usize) -> Result<&str, XmlError> {
    if bytes.len() > bytes_max {
        return Err(XmlError::TooLarge(bytes_max));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::Encoding)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Reads a text.
///
/// # Errors
/// When it is not as messages are.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, XmlError> {
    let parser = Parser::new().with_forbid_dtd(true).with_forbid_entities(true).with_max_depth(DEPTH_MAX);
    let document = parser.parse(text).map_err(|error| XmlError::Malformed(error.to_string()))?;
    let mut ids = std::collections::HashSet::new();
    for id in document.descendants(document.root()) {
        match document.node_kind(id) {
            Some(NodeKind::Comment(_) | NodeKind::ProcessingInstruction(_)) => return Err(XmlError::Comment),
            Some(NodeKind::Element(element)) => {
                // Other readers take other attributes for identifiers; none of them may find two.
                let identifiers = element.attributes.iter().filter(|attribute| {
                    let name = &attribute.name.local_name;
                    name.eq_ignore_ascii_case("id") || name == "AssertionID"
                });
                let found: std::collections::HashSet<&str> = identifiers.map(|a| &*a.value).collect();
                for value in found {
                    if !ids.insert(value.to_owned()) {
                        return Err(XmlError::DuplicateId(value.chars().take(80).collect()));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(document)
}

/// An element of a document.
#[derive(Clone, Copy)]
pub(crate) struct Element<'t> {
    pub(crate) document: &'t Document<'t>,
    pub(crate) id: NodeId,
}

impl<'t> Element<'t> {
    /// The outermost one.
    pub(crate) fn root(document: &'t Document<'t>) -> Result<Element<'t>, XmlError> {
        let id = document.document_element().ok_or(XmlError::Missing("*"))?;
        Ok(Element { document, id })
    }

    pub(crate) fn is(self, namespace: &str, name: &str) -> bool {
        self.document.element(self.id).is_some_and(|element| element.matches_name_ns(namespace, name))
    }

    /// The elements in it, one level down.
    pub(crate) fn elements(self) -> impl Iterator<Item = Element<'t>> + use<'t> {
        let document = self.document;
        let children = document.children_iter(self.id);
        children.filter(|id| document.element(*id).is_some()).map(|id| Element { document, id })
    }

    /// Those of a name.
    pub(crate) fn all(
        self,
        namespace: &'static str,
        name: &'static str,
    ) -> impl Iterator<Item = Element<'t>> + use<'t> {
        self.elements().filter(move |element| element.is(namespace, name))
    }

    /// The one of a name, if there is one.
    ///
    /// # Errors
    /// When there are more.
    pub(crate) fn one_or_none(
        self,
        namespace: &'static str,
        name: &'static str,
    ) -> Result<Option<Element<'t>>, XmlError> {
        let mut all = self.all(namespace, name);
        match (all.next(), all.next()) {
            (first, None) => Ok(first),
            (_, Some(_)) => Err(XmlError::Repeated(name)),
        }
    }

    /// The one of a name.
    ///
    /// # Errors
    /// When there is none, or more.
    pub(crate) fn one(self, namespace: &'static str, name: &'static str) -> Result<Element<'t>, XmlError> {
        self.one_or_none(namespace, name)?.ok_or(XmlError::Missing(name))
    }

    /// An attribute that is in no namespace.
    pub(crate) fn attribute(self, name: &str) -> Option<&'t str> {
        let element = self.document.element(self.id)?;
        let of_name = |known: &&uppsala::Attribute<'_>| {
            known.name.local_name == name && known.name.namespace_uri.is_none()
        };
        element.attributes.iter().find(of_name).map(|attribute| &*attribute.value)
    }

    /// All of its text, without space around it.
    ///
    /// # Errors
    /// When there are elements in it.
    pub(crate) fn text(self) -> Result<String, XmlError> {
        let mut text = String::new();
        for child in self.document.children_iter(self.id) {
            match self.document.node_kind(child) {
                Some(NodeKind::Text(part) | NodeKind::CData(part)) => text.push_str(part),
                _ => return Err(XmlError::Mixed(self.name())),
            }
        }
        Ok(text.trim().to_owned())
    }

    /// Elements of a name at any depth.
    pub(crate) fn count_within(self, namespace: &str, name: &str) -> usize {
        let within = self.document.descendants(self.id).into_iter();
        within.filter(|id| *id != self.id && Element { id: *id, ..self }.is(namespace, name)).count()
    }

    fn name(self) -> String {
        let element = self.document.element(self.id);
        element.map(|element| element.name.local_name.to_string()).unwrap_or_default()
    }
}

/// A text as it stands between tags, or in an attribute between quotation marks.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' => escaped.push_str("&#9;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            // What XML cannot say at all.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{Element, XmlError, escape, parse, text_of};

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let check = |text: &str, is_refused: fn(&XmlError) -> bool| {
            let error = parse(text).map(drop).expect_err(text);
            assert!(is_refused(&error), "{text}: {error}");
        };
        let malformed = |error: &XmlError| matches!(error, XmlError::Malformed(_));
        check("<!DOCTYPE a><a/>", malformed);
        check("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", malformed);
        check("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", malformed);
        check("<a>&b;</a>", malformed);
        check("<a>", malformed);
        check("", malformed);
        check("<a/><b/>", malformed);
        check("<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>", malformed);
        check("<a>b<!--c-->d</a>", |error| *error == XmlError::Comment);
        check("<?xml version='1.0'?><?pi x?><a/>", |error| *error == XmlError::Comment);
        check("<a ID='1'><b Id='1'/></a>", |error| *error == XmlError::DuplicateId("1".to_owned()));
        check("<a ID='1'><b xml:id='1'/></a>", |error| *error == XmlError::DuplicateId("1".to_owned()));
        check(&format!("{}{}", "<a>".repeat(50), "</a>".repeat(50)), malformed);
        assert_eq!(text_of(b"\xff\xfe<\0", 100), Err(XmlError::Encoding));
        assert_eq!(text_of(b"<a/>", 3), Err(XmlError::TooLarge(3)));
    }

    #[test]
    fn a_text_is_all_of_it_or_refused() {
        let document = parse("<a> one<![CDATA[ < ]]>&amp; two </a>").unwrap();
        assert_eq!(Element::root(&document).unwrap().text().unwrap(), "one < & two");
        let document = parse("<a>one<b/>two</a>").unwrap();
        assert_eq!(Element::root(&document).unwrap().text(), Err(XmlError::Mixed("a".to_owned())));
    }

    #[test]
    fn an_escaped_text_comes_back() {
        let text = "a<b>&\"c\"\t\n\r é";
        let written = format!("<a b=\"{0}\">{0}</a>", escape(text));
        let document = parse(&written).unwrap();
        let root = Element::root(&document).unwrap();
        assert_eq!(root.attribute("b"), Some(text));
        assert_eq!(root.text().unwrap(), text);
        assert_eq!(escape("\0"), "\u{fffd}");
    }
}
