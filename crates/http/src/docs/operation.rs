//! One operation for people: its parameters, its answers, a command to try it with.

use serde_json::Value;

use super::html::{escape, inline, paragraphs};
use super::{resolve, shape, text};

/// The order in which a path's methods are shown.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Every operation with a tag, in the document's order.
pub(super) fn all_of(document: &Value, tag: &str) -> String {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .flat_map(|(path, item)| METHODS.iter().map(move |method| (path, *method, &item[*method])))
        .filter(|(_, _, operation)| operation["tags"][0] == tag)
        .map(|(path, method, operation)| one(document, path, method, operation))
        .collect()
}

fn one(document: &Value, path: &str, method: &str, operation: &Value) -> String {
    format!(
        "<details id=\"{id}\"><summary><b class=\"{method}\">{verb}</b> <code>{path}</code> <span>{summary}</span></summary>\
         {description}{parameters}<pre>{example}</pre>{answers}</details>",
        id = escape(text(operation, "/operationId")),
        verb = method.to_ascii_uppercase(),
        path = escape(path),
        summary = escape(text(operation, "/summary")),
        description = paragraphs(text(operation, "/description")),
        parameters = parameters(document, operation),
        example = escape(&command(path, method, operation)),
        answers = answers(document, operation),
    )
}

fn parameters(document: &Value, operation: &Value) -> String {
    let rows: String = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|parameter| {
            let parameter = resolve(document, parameter);
            format!(
                "<tr><td><code>{}</code></td><td>{} <small>{}</small></td><td>{}</td></tr>",
                escape(text(parameter, "/name")),
                shape::words(&parameter["schema"]),
                escape(text(parameter, "/in")),
                inline(text(parameter, "/description")),
            )
        })
        .collect();
    if rows.is_empty() { rows } else { format!("<table><tbody>{rows}</tbody></table>") }
}

fn answers(document: &Value, operation: &Value) -> String {
    let rows: String = operation["responses"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(status, answer)| {
            let answer = resolve(document, answer);
            let content = answer["content"].as_object().and_then(|content| content.values().next());
            let shape =
                content.and_then(|content| content.get("schema")).map(shape::words).unwrap_or_default();
            format!(
                "<tr><td>{}</td><td>{shape}</td><td>{}</td></tr>",
                escape(status),
                inline(text(answer, "/description")),
            )
        })
        .collect();
    format!("<table><tbody>{rows}</tbody></table>")
}

/// A command that can be pasted into a shell.
fn command(path: &str, method: &str, operation: &Value) -> String {
    let mut path = path.to_owned();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] == "path" {
            let example = &parameter["example"];
            let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
            path = path.replace(&format!("{{{}}}", text(parameter, "/name")), &example);
        }
    }
    let mut command = format!("curl -X {} \"$URL{path}\"", method.to_ascii_uppercase());
    let asks = operation["security"].get(0).is_some_and(|first| first.get("bearer").is_some());
    if asks || !operation["security"].is_array() && path.starts_with("/api") || path == "/query" {
        command.push_str(" -H \"Authorization: Bearer $TOKEN\"");
    }
    if let Some(body) = operation.pointer("/requestBody/content/application~1json/example") {
        let body = body.to_string().replace('\'', "'\\''");
        command.push_str(&format!(" \\\n  -H 'Content-Type: application/json' -d '{body}'"));
    }
    command
}
