//! Source text and the places in it.
//!
//! A [`Sources`] holds every `.stay` file of an app, in the order in which they were added; a [`Span`] points
//! into one of them by byte offsets. Nothing here reads files: the caller brings the text.

/// A range of bytes in one file of a [`Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Index of the file in its [`Sources`].
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The smallest span that covers both; `other` must be in the same file.
    pub fn to(self, other: Span) -> Span {
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// One file's name, as diagnostics show it, and its text.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path relative to the app's folder, or a name in angle brackets for text that is no file.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Whether the platform brought this file (its tables may be extended and are not the author's to mend).
    pub platform: bool,
    /// The capability that it belongs to; it counts only in an app that uses that.
    pub capability: Option<&'static str>,
}

/// All the text of one app.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Adds a file of the app's author and returns its index.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> u32 {
        self.push(SourceFile { name: name.into(), text: text.into(), platform: false, capability: None })
    }

    /// Adds a file that the platform brings.
    pub fn add_platform(&mut self, name: impl Into<String>, text: impl Into<String>) -> u32 {
        self.push(SourceFile { name: name.into(), text: text.into(), platform: true, capability: None })
    }

    /// Adds a file that the platform brings to apps that use a capability.
    pub fn add_capability(&mut self, name: impl Into<String>, capability: &'static str, text: &str) -> u32 {
        let (name, text) = (name.into(), text.to_owned());
        self.push(SourceFile { name, text, platform: true, capability: Some(capability) })
    }

    fn push(&mut self, file: SourceFile) -> u32 {
        let index = u32::try_from(self.files.len()).expect("an app has fewer than 2^32 files");
        self.files.push(file);
        index
    }

    /// Every file, in the order added.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The text that a span covers; empty when the span lies outside of the file.
    pub fn slice(&self, span: Span) -> &str {
        self.files
            .get(span.file as usize)
            .and_then(|file| file.text.get(span.start as usize..span.end as usize))
            .unwrap_or("")
    }

    /// Line and column of a span's start, both from 1. A column is a Unicode character; a byte order mark is none.
    /// A place outside of the text is its end; in no file, the first.
    pub fn position(&self, span: Span) -> (usize, usize) {
        let Some(file) = self.files.get(span.file as usize) else { return (1, 1) };
        let text = &file.text[..file.text.floor_char_boundary(span.start as usize)];
        let line_start = text.rfind('\n').map_or(0, |at| at + 1);
        let line = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = text[line_start..].trim_start_matches('\u{feff}').chars().count() + 1;
        (line, column)
    }
}

#[cfg(test)]
mod tests {
    use super::{Sources, Span};

    #[test]
    fn positions_count_characters() {
        let mut sources = Sources::default();
        let file = sources.add("a", "\u{feff}äb\r\nöc");
        for (start, expected) in [(3, (1, 1)), (5, (1, 2)), (8, (2, 1)), (10, (2, 2)), (99, (2, 3))] {
            assert_eq!(sources.position(Span { file, start, end: start }), expected, "{start}");
        }
        assert_eq!(sources.position(Span { file: 7, start: 3, end: 4 }), (1, 1));
    }
}
