//! What plugins say of their routes, so that these stand in the app's OpenAPI document beside Mainstay's own.
//!
//! Knows nothing of how a route is served. What every route can answer is added here: nobody has to say that a server may be overloaded.

use axum::http::StatusCode;
use mainstay_engine::error::Key;
use serde_json::{Map, Value, json};

use super::paths::Operation;
use crate::problem::status;

/// Whose credentials a route asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Who {
    /// They are looked at and need not be there.
    #[default]
    Anybody,
    /// They are not looked at.
    Open,
    SignedIn,
    Permitted(String),
}

/// What an answer holds: its media type and its schema.
type Content = (String, Value);

/// What a plugin says of a route.
#[derive(Clone, Debug)]
pub struct RouteDocs {
    id: String,
    summary: String,
    docs: String,
    who: Who,
    parameters: Vec<Value>,
    /// Its schema, an example, and whether it may be left out.
    body: Option<(Value, Value, bool)>,
    /// Whether what is sent need not be JSON.
    any_media: bool,
    answers: Vec<(StatusCode, String, Option<Content>)>,
    refusals: Vec<Key>,
}

impl RouteDocs {
    /// A route by the name of its operation, one of its own in the whole app (`signIn`), and a line that says what it does.
    pub fn new(id: impl Into<String>, summary: impl Into<String>) -> RouteDocs {
        RouteDocs {
            id: id.into(),
            summary: summary.into(),
            docs: String::new(),
            who: Who::default(),
            parameters: Vec::new(),
            body: None,
            any_media: false,
            answers: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// More words.
    #[must_use]
    pub fn about(self, docs: impl Into<String>) -> RouteDocs {
        RouteDocs { docs: docs.into(), ..self }
    }

    /// Credentials are not looked at.
    #[must_use]
    pub fn open(self) -> RouteDocs {
        RouteDocs { who: Who::Open, ..self }
    }

    /// Only for somebody who has signed in.
    #[must_use]
    pub fn signed_in(self) -> RouteDocs {
        RouteDocs { who: Who::SignedIn, ..self }
    }

    /// Only for somebody who has a permission.
    #[must_use]
    pub fn permission(self, name: impl Into<String>) -> RouteDocs {
        RouteDocs { who: Who::Permitted(name.into()), ..self }
    }

    /// What stands in a place of the path, as JSON Schema; places of which nothing is said are texts.
    #[must_use]
    pub fn place(mut self, name: &str, schema: Value) -> RouteDocs {
        self.parameters.push(place(name, schema));
        self
    }

    /// A parameter of the query.
    #[must_use]
    pub fn query(mut self, name: &str, schema: Value, docs: &str) -> RouteDocs {
        let parameter = json!({"name": name, "in": "query", "description": docs, "schema": schema});
        self.parameters.push(parameter);
        self
    }

    /// A header of the request.
    #[must_use]
    pub fn header(mut self, name: &str, schema: Value, docs: &str) -> RouteDocs {
        let parameter = json!({"name": name, "in": "header", "description": docs, "schema": schema});
        self.parameters.push(parameter);
        self
    }

    /// The JSON that is sent, as JSON Schema, with an example.
    #[must_use]
    pub fn body(self, schema: Value, example: Value) -> RouteDocs {
        RouteDocs { body: Some((schema, example, true)), ..self }
    }

    /// The same, where it may be left out.
    #[must_use]
    pub fn body_or_none(self, schema: Value, example: Value) -> RouteDocs {
        RouteDocs { body: Some((schema, example, false)), ..self }
    }

    /// What is sent may be anything, such as a form. Then the handler sees to it that no page of another site can send it for somebody
    /// who has cookies here.
    #[must_use]
    pub fn any_media(self) -> RouteDocs {
        RouteDocs { any_media: true, ..self }
    }

    pub(crate) fn takes_any_media(&self) -> bool {
        self.any_media
    }

    /// An answer of JSON, as JSON Schema.
    ///
    /// # Panics
    /// When the number is no status.
    #[must_use]
    pub fn answers(self, status: u16, docs: &str, schema: Value) -> RouteDocs {
        self.answers_as(status, docs, "application/json", schema)
    }

    /// An answer of another media type.
    ///
    /// # Panics
    /// When the number is no status.
    #[must_use]
    pub fn answers_as(self, status: u16, docs: &str, media_type: &str, schema: Value) -> RouteDocs {
        self.answer(status, docs, Some((media_type.to_owned(), schema)))
    }

    /// An answer without a body.
    ///
    /// # Panics
    /// When the number is no status.
    #[must_use]
    pub fn answers_empty(self, status: u16, docs: &str) -> RouteDocs {
        self.answer(status, docs, None)
    }

    fn answer(mut self, status: u16, docs: &str, content: Option<Content>) -> RouteDocs {
        let status = StatusCode::from_u16(status).expect("a plugin describes its answers by their statuses");
        self.answers.push((status, docs.to_owned(), content));
        self
    }

    /// What it refuses, beside what every route does.
    #[must_use]
    pub fn refuses(mut self, keys: &[Key]) -> RouteDocs {
        self.refusals.extend_from_slice(keys);
        self
    }

    /// The failures that it can answer with.
    fn failures(&self, has_places: bool) -> Vec<u16> {
        let mut failures = vec![400, 429, 500, 503];
        match self.who {
            Who::Open => {}
            Who::Anybody | Who::SignedIn | Who::Permitted(_) => failures.extend([401, 403]),
        }
        if self.body.is_some() {
            failures.extend([413, 422]);
        }
        if self.body.is_some() && !self.any_media {
            failures.push(415);
        }
        if has_places {
            failures.push(404);
        }
        failures.extend(self.refusals.iter().map(|key| status(key.kind()).as_u16()));
        failures.dedup();
        failures
    }

    fn words(&self) -> String {
        let who = match &self.who {
            Who::Anybody => String::new(),
            Who::Open => "Credentials are not looked at.".to_owned(),
            Who::SignedIn => "For somebody who has signed in.".to_owned(),
            Who::Permitted(name) => format!("For somebody who has the permission `{name}`."),
        };
        let keys: Vec<String> = self.refusals.iter().map(|key| format!("`{}`", key.text())).collect();
        let refusals = if keys.is_empty() { String::new() } else { format!("Refuses: {}.", keys.join(", ")) };
        let all = [self.docs.clone(), who, refusals];
        all.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

fn place(name: &str, schema: Value) -> Value {
    let example = match schema.get("format").and_then(Value::as_str) {
        Some("uuid") => json!("01890000-0000-7000-8000-000000000000"),
        _ => json!(name),
    };
    json!({"name": name, "in": "path", "required": true, "schema": schema, "example": example})
}

/// Everything that plugins have said, in the app's parts.
#[derive(Default)]
pub(crate) struct Described(Vec<DescribedRoute>);

struct DescribedRoute {
    plugin: String,
    method: String,
    path: String,
    docs: RouteDocs,
}

impl Described {
    pub(crate) fn add(&mut self, plugin: &str, method: &str, path: &str, docs: RouteDocs) {
        let (plugin, method, path) = (plugin.to_owned(), method.to_ascii_lowercase(), path.to_owned());
        self.0.push(DescribedRoute { plugin, method, path, docs });
    }

    /// The plugins that have said something, in their order, as tags.
    pub(super) fn tags(&self) -> Vec<Value> {
        let mut names: Vec<&str> = Vec::new();
        for route in &self.0 {
            if !names.contains(&route.plugin.as_str()) {
                names.push(&route.plugin);
            }
        }
        let tag =
            |name: &str| json!({"name": name, "description": format!("Routes of the plugin `{name}`.")});
        names.into_iter().map(tag).collect()
    }

    /// Puts the operations beside those that are there.
    pub(super) fn write(&self, paths: &mut Map<String, Value>) {
        for route in &self.0 {
            let item = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
            item[&route.method] = route.operation();
        }
    }
}

impl DescribedRoute {
    fn operation(&self) -> Value {
        let RouteDocs { id, summary, who, parameters, body, answers, .. } = &self.docs;
        let mut operation =
            Operation::new(&self.plugin, id.clone(), summary.clone()).describe(&self.docs.words());
        let places: Vec<&str> =
            self.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        for name in &places {
            if !parameters.iter().any(|known| known["in"] == "path" && known["name"] == **name) {
                operation.parameter(place(name, json!({"type": "string"})));
            }
        }
        parameters.iter().cloned().for_each(|parameter| operation.parameter(parameter));
        match body {
            Some((schema, example, true)) => operation = operation.body(schema.clone(), example.clone()),
            Some((schema, example, false)) => {
                operation = operation.body(schema.clone(), example.clone());
                operation.0["requestBody"]["required"] = json!(false);
            }
            None => {}
        }
        for (status, docs, content) in answers {
            // One status may come in several media types.
            if operation.0["responses"][status.as_str()].is_null() {
                operation = operation.bare(*status, docs);
            }
            if let Some((media_type, schema)) = content {
                let answer = &mut operation.0["responses"][status.as_str()];
                answer["content"][media_type] = json!({"schema": schema});
            }
        }
        let mut operation = operation.failures(&[&self.docs.failures(!places.is_empty())]);
        match who {
            Who::Anybody => {}
            Who::Open => operation["security"] = json!([{}]),
            Who::SignedIn | Who::Permitted(_) => operation["security"] = json!([{"bearer": []}]),
        }
        operation
    }
}
