//! A collector of OpenTelemetry for a test: takes OTLP over HTTP, keeps every span, and may be away for a while.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A span as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) trace_id: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub(crate) kind: i32,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) is_error: bool,
    pub(crate) state: String,
    pub(crate) attributes: HashMap<String, String>,
    /// Names of its events, with their attributes.
    pub(crate) events: Vec<(String, HashMap<String, String>)>,
    /// What its sender says of itself.
    pub(crate) resource: HashMap<String, String>,
}

impl Seen {
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map(String::as_str).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<Seen>,
    /// Heads of requests.
    heads: Vec<String>,
    /// How many requests are still turned away.
    turned_away: usize,
}

/// A collector on a free port.
pub(crate) struct Collector {
    pub(crate) url: String,
    kept: Arc<(Mutex<Kept>, Condvar)>,
}

impl Collector {
    /// One that turns the first requests away.
    pub(crate) fn start(turned_away: usize) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::new((Mutex::new(Kept { turned_away, ..Kept::default() }), Condvar::new()));
        let taking = Arc::clone(&kept);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let taking = Arc::clone(&taking);
                std::thread::spawn(move || serve(stream, &taking));
            }
        });
        Collector { url, kept }
    }

    /// The spans of a trace, once what is wanted of them is there.
    #[track_caller]
    pub(crate) fn trace(&self, id: &str, is_there: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let (kept, told) = &*self.kept;
        let deadline = Instant::now() + PATIENCE;
        let mut kept = kept.lock().unwrap();
        loop {
            let of_trace = kept.spans.iter().filter(|span| span.trace_id == id).cloned().collect::<Vec<_>>();
            if is_there(&of_trace) {
                return of_trace;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{id}: {of_trace:#?}");
            kept = told.wait_timeout(kept, left).unwrap().0;
        }
    }

    /// Heads of the requests that came.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.kept.0.lock().unwrap().heads.clone()
    }
}

fn serve(mut stream: TcpStream, (kept, told): &(Mutex<Kept>, Condvar)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut kept = kept.lock().unwrap();
        kept.heads.push(head);
        let answer = if kept.turned_away > 0 {
            kept.turned_away -= 1;
            "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
        } else {
            let request = ExportTraceServiceRequest::decode(&*body).unwrap();
            for of_resource in request.resource_spans {
                let resource = attributes(of_resource.resource.unwrap().attributes);
                let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                kept.spans.extend(spans.map(|span| seen(span, &resource)));
            }
            told.notify_all();
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        };
        drop(kept);
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn seen(span: Span, resource: &HashMap<String, String>) -> Seen {
    let events = span.events.into_iter().map(|event| (event.name, attributes(event.attributes)));
    Seen {
        trace_id: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name,
        kind: span.kind,
        from: span.start_time_unix_nano,
        to: span.end_time_unix_nano,
        is_error: span.status.is_some_and(|status| status.code == 2),
        state: span.trace_state,
        attributes: attributes(span.attributes),
        events: events.collect(),
        resource: resource.clone(),
    }
}

fn attributes(all: Vec<KeyValue>) -> HashMap<String, String> {
    let text = |value: Any| match value {
        Any::StringValue(text) => text,
        Any::IntValue(number) => number.to_string(),
        Any::DoubleValue(number) => number.to_string(),
        Any::BoolValue(truth) => truth.to_string(),
        other => format!("{other:?}"),
    };
    all.into_iter().map(|pair| (pair.key, text(pair.value.unwrap().value.unwrap()))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
