//! JSON Schema for people: a table of a row's members, a type in a few words.

use serde_json::Value;

use super::html::{escape, inline};
use super::text;

/// The members of a row: what is answered, and what of it can be sent.
pub(super) fn table(document: &Value, name: &str, row: &Value) -> String {
    let schemas = &document["components"]["schemas"];
    let create = &schemas[format!("{name}.create")];
    let update = &schemas[format!("{name}.update")];
    let Some(answered) = row["properties"].as_object() else { return String::new() };
    let hidden = create["properties"].as_object().into_iter().flatten();
    let hidden = hidden.filter(|(member, _)| !answered.contains_key(*member));
    let rows: String = answered
        .iter()
        .filter(|(member, _)| !["new", "edited", "deleted"].contains(&member.as_str()))
        .chain(hidden)
        .map(|(member, value)| {
            let is_required =
                create["required"].as_array().is_some_and(|names| names.iter().any(|n| n == member));
            let marks = [
                (is_required, "required"),
                (value["readOnly"] == true, "read only"),
                (create["properties"][member]["writeOnly"] == true, "write only"),
                (
                    !create["properties"][member].is_null() && update["properties"][member].is_null(),
                    "at creation",
                ),
            ];
            let marks: String = marks
                .iter()
                .filter(|(is_set, _)| *is_set)
                .map(|(_, mark)| format!("<em>{mark}</em>"))
                .collect();
            let sent = &create["properties"][member];
            let bounds = if sent.is_null() { String::new() } else { bounds(sent) };
            format!(
                "<tr><td><code>{}</code></td><td>{}{bounds}</td><td>{marks}{}</td></tr>",
                escape(member),
                words(value),
                inline(text(value, "/description")),
            )
        })
        .collect();
    format!(
        "<table><thead><tr><th>member</th><th>type</th><th></th></tr></thead><tbody>{rows}</tbody></table>"
    )
}

/// A type in a few words, as HTML.
pub(super) fn words(value: &Value) -> String {
    if let Some(to) = value.get("$ref").and_then(Value::as_str) {
        return reference(to.rsplit('/').next().unwrap_or_default());
    }
    if let Some(names) = value["enum"].as_array() {
        let names: Vec<String> =
            names.iter().map(|name| format!("<code>{}</code>", escape(&plain(name)))).collect();
        return names.join(" | ");
    }
    if let Some(choices) = value["anyOf"].as_array() {
        let choices: Vec<String> = choices.iter().map(words).collect();
        return choices.join(" | ");
    }
    let types: Vec<String> = match &value["type"] {
        Value::Array(types) => types.iter().map(plain).collect(),
        Value::String(one) => vec![one.clone()],
        _ => vec!["any JSON".to_owned()],
    };
    let format = value["format"].as_str().map(|format| format!(" <small>{}</small>", escape(format)));
    let items = (types.iter().any(|of| of == "array") && value.get("items").is_some())
        .then(|| format!(" of {}", words(&value["items"])));
    format!("{}{}{}", escape(&types.join(" | ")), format.unwrap_or_default(), items.unwrap_or_default())
}

/// A component: a row leads to its table, a problem to the list of keys, what is shared stands for itself.
fn reference(name: &str) -> String {
    const SHARED: [&str; 6] = ["Answer", "Document", "Group", "Health", "Metadata", "Part"];
    let to = match name.split('.').next().unwrap_or_default() {
        "Problem" => "/docs/errors".to_owned(),
        shared if SHARED.contains(&shared) => return escape(name),
        table => format!("#{table}"),
    };
    format!("<a href=\"{}\">{}</a>", escape(&to), escape(name))
}

fn bounds(sent: &Value) -> String {
    const NAMES: [(&str, &str); 6] = [
        ("minLength", "from"),
        ("maxLength", "up to"),
        ("minItems", "from"),
        ("maxItems", "up to"),
        ("minimum", "≥"),
        ("maximum", "≤"),
    ];
    let is_told =
        |value: &Value| value.as_i64().is_none_or(|number| number != i64::MIN && number != i64::MAX);
    NAMES
        .iter()
        .filter(|(name, _)| !sent[*name].is_null() && is_told(&sent[*name]))
        .map(|(name, sign)| format!(" <small>{sign} {}</small>", escape(&sent[*name].to_string())))
        .collect()
}

/// A value without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
