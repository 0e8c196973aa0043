//! Text into HTML.

/// Text that stands for itself, in content and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text whose empty lines part paragraphs and whose `words` are code.
pub(super) fn paragraphs(text: &str) -> String {
    let is_words = |paragraph: &&str| !paragraph.trim().is_empty();
    text.split("\n\n").filter(is_words).map(|paragraph| format!("<p>{}</p>", inline(paragraph))).collect()
}

/// Text whose `words` are code.
pub(super) fn inline(text: &str) -> String {
    let pieces: Vec<&str> = text.split('`').collect();
    let is_balanced = pieces.len() % 2 == 1;
    let piece = |(at, piece): (usize, &&str)| match (is_balanced, at % 2) {
        (true, 1) => format!("<code>{}</code>", escape(piece)),
        (true, _) => escape(piece),
        (false, _) => format!("{}{}", if at == 0 { "" } else { "`" }, escape(piece)),
    };
    pieces.iter().enumerate().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::{inline, paragraphs};

    #[test]
    fn nothing_of_an_author_is_markup() {
        assert_eq!(inline("a `<b>` & \"c\""), "a <code>&lt;b&gt;</code> &amp; &quot;c&quot;");
        assert_eq!(inline("a ` b"), "a ` b");
        assert_eq!(paragraphs("a\nb\n\n<script>"), "<p>a\nb</p><p>&lt;script&gt;</p>");
        assert_eq!(paragraphs(""), "");
    }
}
