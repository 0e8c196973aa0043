//! Operations on the stored form of a list: a minified JSON array of the wire forms of its items.
//!
//! Wire forms are canonical (one escape for each character, decimals at their scale, shortest floats), so two items
//! are equal exactly when their texts are, and nothing has to be decoded.

/// The texts of the items, in order.
pub fn items(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or("");
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (item, behind) = rest.split_at(item_len(rest));
        rest = behind.strip_prefix(',').unwrap_or("");
        Some(item)
    })
}

/// Whether the list has an item of that text.
pub fn contains(list: &str, item: &str) -> bool {
    items(list).any(|candidate| candidate == item)
}

/// How many items it has.
pub fn length(list: &str) -> i64 {
    items(list).count() as i64
}

/// The list with one more item at its end.
pub fn append(list: &str, item: &str) -> String {
    match list.strip_suffix(']') {
        Some("[") | None => format!("[{item}]"),
        Some(open) => format!("{open},{item}]"),
    }
}

/// The list without any item of that text.
pub fn remove(list: &str, item: &str) -> String {
    let kept: Vec<&str> = items(list).filter(|candidate| *candidate != item).collect();
    format!("[{}]", kept.join(","))
}

/// Bytes up to the comma behind the first item. Items are scalars or json, so commas may stand in strings and nests.
fn item_len(text: &str) -> usize {
    let mut depth = 0u32;
    let mut in_string = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}
