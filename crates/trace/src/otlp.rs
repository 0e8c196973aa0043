//! A tree as the messages of OTLP, under the names that OpenTelemetry's semantic conventions have for what it tells.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource as OtlpResource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use uuid::Uuid;

use crate::recording::{Note, Place, Step, Told, Tree};

/// What our fields are called there. Those that are not listed keep their names.
const NAMES: [(&str, &str); 9] = [
    ("method", "http.request.method"),
    ("route", "http.route"),
    ("path", "url.path"),
    ("status", "http.response.status_code"),
    ("bytes", "http.response.body.size"),
    ("request_id", "mainstay.request_id"),
    ("caller", "mainstay.caller"),
    ("plugin", "mainstay.plugin"),
    ("refused", "mainstay.refused"),
];

/// Fields that the span itself says.
const SAID: [&str; 7] =
    ["trace_id", "span_id", "parent_span_id", "tracestate", "message", "duration_ms", "took_ms"];

/// Flags of a span of which it is known whether its parent is of another process (OTLP, `SpanFlags`).
const SAMPLED: u32 = 1;
const KNOWS_PARENT: u32 = 0x100;
const PARENT_IS_REMOTE: u32 = 0x200;

/// Who sends.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The app, as collectors group by it.
    pub service: String,
    /// The release of the server.
    pub version: String,
    /// Where it runs: development, production.
    pub environment: String,
}

impl Resource {
    fn attributes(&self) -> Vec<KeyValue> {
        // One for each process: several may run on one machine.
        let instance = Uuid::now_v7().to_string();
        let said = [
            ("service.name", &*self.service),
            ("service.version", &self.version),
            ("service.instance.id", &instance),
            ("deployment.environment.name", &self.environment),
            ("telemetry.sdk.name", "mainstay"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", &self.version),
        ];
        said.map(|(name, text)| key_value(name, Any::StringValue(text.to_owned()))).into()
    }

    /// The envelope of what it sends, without spans.
    pub(crate) fn envelope(&self) -> ResourceSpans {
        let attributes = self.attributes();
        let scope = InstrumentationScope {
            name: "mainstay".to_owned(),
            version: self.version.clone(),
            ..InstrumentationScope::default()
        };
        ResourceSpans {
            resource: Some(OtlpResource { attributes, ..OtlpResource::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }
    }
}

/// What a collector is sent.
pub(crate) fn request<'t>(
    envelope: &ResourceSpans,
    trees: impl Iterator<Item = &'t Tree>,
) -> ExportTraceServiceRequest {
    let mut resource = envelope.clone();
    if let Some(scope) = resource.scope_spans.first_mut() {
        scope.spans = trees.flat_map(spans).collect();
    }
    ExportTraceServiceRequest { resource_spans: vec![resource] }
}

/// The steps of a tree, each under an id of its own.
fn spans(tree: &Tree) -> Vec<Span> {
    let Some(place) = &tree.place else { return Vec::new() };
    let mut ids: Vec<u64> = tree.steps.iter().map(|_| Uuid::new_v4().as_u64_pair().1.max(1)).collect();
    ids[0] = place.span_id;
    let end = tree.steps.iter().filter_map(|step| step.ended).max().unwrap_or_default();
    let parent = |at: usize, step: &Step| if at == 0 { place.parent } else { Some(ids[step.parent]) };
    let mut spans: Vec<Span> = tree
        .steps
        .iter()
        .enumerate()
        .map(|(at, step)| span(tree, place, step, (ids[at], parent(at, step)), end))
        .collect();
    spans[0].flags = SAMPLED | KNOWS_PARENT | if place.parent.is_some() { PARENT_IS_REMOTE } else { 0 };
    if tree.left_out > 0 {
        let left_out = i64::try_from(tree.left_out).unwrap_or(i64::MAX);
        spans[0].attributes.push(key_value("mainstay.steps_left_out", Any::IntValue(left_out)));
    }
    spans
}

fn span(tree: &Tree, place: &Place, step: &Step, (id, parent): (u64, Option<u64>), end: Duration) -> Span {
    Span {
        trace_id: place.trace_id.to_be_bytes().into(),
        span_id: id.to_be_bytes().into(),
        trace_state: place.state.clone().unwrap_or_default(),
        parent_span_id: parent.map(|parent| parent.to_be_bytes().into()).unwrap_or_default(),
        flags: SAMPLED | KNOWS_PARENT,
        name: name(step),
        kind: kind(step) as i32,
        start_time_unix_nano: nanos(tree.begun_at, step.begun),
        end_time_unix_nano: nanos(tree.begun_at, step.ended.unwrap_or(end)),
        attributes: attributes(step),
        events: step.notes.iter().map(|note| event(tree, note)).collect(),
        status: Some(status(step)),
        ..Span::default()
    }
}

/// Of few values, so that collectors can group by it.
fn name(step: &Step) -> String {
    let text = |name| step.fields.text(name).unwrap_or_default();
    match step.name {
        "request" => [text("method"), text("route")].join(" ").trim().to_owned(),
        "job" => format!("process {}", text("name")),
        "hook" => format!("hook {}", text("hook")),
        other => other.to_owned(),
    }
}

fn kind(step: &Step) -> SpanKind {
    match step.name {
        "request" => SpanKind::Server,
        "job" => SpanKind::Consumer,
        "enqueue" => SpanKind::Producer,
        _ if step.fields.get("db.system.name").is_some() => SpanKind::Client,
        _ => SpanKind::Internal,
    }
}

/// What a client did wrong is no error of the server's (semantic conventions for HTTP spans).
fn status(step: &Step) -> Status {
    let failed = |words: String| Status { message: words, code: StatusCode::Error as i32 };
    if let Some(kind) = step.fields.text("error.type") {
        return failed(kind.to_owned());
    }
    if let Some(words) = step.fields.text("error") {
        return failed(words.to_owned());
    }
    match step.fields.get("status") {
        Some(Told::Int(status)) if *status >= 500 => failed(String::new()),
        _ => Status::default(),
    }
}

fn attributes(step: &Step) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(step.fields.0.len() + 2);
    for (name, told) in &step.fields.0 {
        if SAID.contains(name) {
            continue;
        }
        let name = match (step.name, *name) {
            ("job", "name") => "messaging.destination.name",
            ("job", "id") => "messaging.message.id",
            (_, name) => NAMES.iter().find(|(own, _)| *own == name).map_or(name, |(_, theirs)| theirs),
        };
        attributes.push(key_value(name, any(told)));
    }
    match (step.name, step.fields.get("status")) {
        ("request", Some(Told::Int(status))) => {
            attributes.push(key_value("url.scheme", Any::StringValue("http".to_owned())));
            if *status >= 500 {
                attributes.push(key_value("error.type", Any::StringValue(status.to_string())));
            }
        }
        ("job", _) => attributes.push(key_value("messaging.system", Any::StringValue("mainstay".to_owned()))),
        _ => {}
    }
    attributes
}

/// What was said: an error as an exception, as collectors show it.
fn event(tree: &Tree, note: &Note) -> Event {
    let words = note.fields.text("message").unwrap_or_default();
    let rest = note.fields.0.iter().filter(|(name, _)| !SAID.contains(name));
    let mut attributes: Vec<KeyValue> = rest.map(|(name, told)| key_value(name, any(told))).collect();
    if note.is_error {
        let more = note.fields.text("error").map(|error| format!(": {error}")).unwrap_or_default();
        attributes.push(key_value("exception.message", Any::StringValue(format!("{words}{more}"))));
        let kind = note.fields.text("key").unwrap_or("error");
        attributes.push(key_value("exception.type", Any::StringValue(kind.to_owned())));
    }
    Event {
        time_unix_nano: nanos(tree.begun_at, note.at),
        name: if note.is_error { "exception".to_owned() } else { words.to_owned() },
        attributes,
        dropped_attributes_count: 0,
    }
}

fn any(told: &Told) -> Any {
    match told {
        Told::Text(text) => Any::StringValue(text.clone()),
        Told::Int(number) => Any::IntValue(*number),
        Told::Float(number) => Any::DoubleValue(*number),
        Told::Bool(truth) => Any::BoolValue(*truth),
    }
}

fn key_value(name: &str, value: Any) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A time within a tree, by the clock on the wall as it was when the tree began: so steps stay within each other.
fn nanos(begun_at: SystemTime, later: Duration) -> u64 {
    let since = begun_at.duration_since(UNIX_EPOCH).unwrap_or_default() + later;
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
