//! A response as the body of `/query`: the question's mirror.

use crate::response::{DocumentAnswer, EntryAnswer, Response};

/// The body: an object, or the array of them when documents were asked as an array.
pub fn render(response: &Response, was_array: bool) -> String {
    let length =
        response.documents.iter().flat_map(|document| &document.entries).map(|entry| entry.rows.len() + 64);
    let mut out = String::with_capacity(length.sum::<usize>() + 16);
    if was_array {
        out.push('[');
        for (index, document) in response.documents.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            render_document(document, None, &mut out);
        }
        // There is no place beside an array, so what explains it comes as one object more.
        if let Some(explain) = &response.explain {
            out.push_str(if response.documents.is_empty() { "{\"@explain\":" } else { ",{\"@explain\":" });
            out.push_str(explain);
            out.push('}');
        }
        out.push(']');
    } else {
        let empty = DocumentAnswer::default();
        let document = response.documents.first().unwrap_or(&empty);
        render_document(document, response.explain.as_deref(), &mut out);
    }
    out
}

fn render_document(document: &DocumentAnswer, explain: Option<&str>, out: &mut String) {
    out.push('{');
    for (index, entry) in document.entries.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        render_entry(entry, out);
    }
    if let Some(explain) = explain {
        out.push_str(if document.entries.is_empty() { "\"@explain\":" } else { ",\"@explain\":" });
        out.push_str(explain);
    }
    out.push('}');
}

/// `"Task":[…]` and, when there is something beside the rows, `"Task@":{"count":…,"next":…}`.
fn render_entry(entry: &EntryAnswer, out: &mut String) {
    // A table's name is an identifier and needs no escape.
    out.push('"');
    out.push_str(&entry.table);
    out.push_str("\":[");
    out.push_str(&entry.rows);
    out.push(']');
    if entry.count.is_none() && entry.next.is_none() {
        return;
    }
    out.push_str(",\"");
    out.push_str(&entry.table);
    out.push_str("@\":{");
    if let Some(count) = entry.count {
        out.push_str(&format!("\"count\":{count}"));
    }
    if entry.paged {
        out.push_str(if entry.count.is_some() { ",\"next\":" } else { "\"next\":" });
        match &entry.next {
            // A cursor is base64url and needs no escape.
            Some(cursor) => out.push_str(&format!("\"{cursor}\"")),
            None => out.push_str("null"),
        }
    }
    out.push('}');
}
