//! Lists in parameters: cut at commas that stand in no parentheses and in no quoted text.

/// The trimmed items of a list; the last may be empty, as may any.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let (mut start, mut depth, mut quoted, mut escaped) = (0, 0usize, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                items.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(text[start..].trim());
    items
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn commas_inside_belong_to_their_item() {
        assert_eq!(split("a, -b nulls first"), ["a", "-b nulls first"]);
        assert_eq!(split("n:count(),c:concat(a, \",)\", b),d"), ["n:count()", "c:concat(a, \",)\", b)", "d"]);
        assert_eq!(split("a:\"x\\\",y\",b"), ["a:\"x\\\",y\"", "b"]);
        assert_eq!(split("a,"), ["a", ""]);
        assert_eq!(split(""), [""]);
    }
}
