//! Trees on their way to a collector.
//!
//! Whoever ends a request hands its tree over and goes on: what waits is bounded, and what has no room is dropped and counted. One
//! thread sends, in batches, over OTLP in its binary form. What a collector cannot take at the moment is sent again for a while, after
//! growing pauses; what it refuses is not. At the end what waits is sent once, within a bound of time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metrics::counter;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use parking_lot::Mutex;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};

use crate::otlp::{self, Resource};
use crate::recording::Tree;

/// Steps that may wait: some megabytes.
const WAITING_MAX: usize = 16 << 10;
/// Steps that are sent together, and how long the first of them waits for others.
const TOGETHER: usize = 512;
const LINGER: Duration = Duration::from_secs(1);
/// How long a collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pauses before a batch is sent again, each twice the one before it, and how often that is.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
const ATTEMPTS_MAX: u32 = 6;
/// How long the end may take.
const END_MAX: Duration = Duration::from_secs(5);

/// What has become of spans.
const SPANS: &str = "mainstay_trace_spans_total";

/// Why an exporter cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The endpoint is no URL.
    #[error("{0:?} is no URL of a collector, such as http://127.0.0.1:4318")]
    Url(String),
    /// A header is none.
    #[error("a header is written as name=value")]
    Header,
    /// The client or its thread cannot be made.
    #[error("cannot start sending traces: {0}")]
    Start(String),
}

/// Where traces go.
#[derive(Clone, Debug)]
pub struct Target {
    url: Url,
    headers: HeaderMap,
}

impl Target {
    /// A collector: its base URL, to which `/v1/traces` is added, or the whole one; and headers as `name=value`, separated by commas.
    ///
    /// # Errors
    /// When one of them cannot be read; without the headers' values, which are secrets.
    pub fn parse(endpoint: &str, headers: &str) -> Result<Target, ExporterError> {
        let refused = || ExporterError::Url(endpoint.to_owned());
        let mut url = Url::parse(endpoint).map_err(|_| refused())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(refused());
        }
        if !url.path().ends_with("/v1/traces") {
            let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        let mut all = HeaderMap::new();
        for header in headers.split(',').map(str::trim).filter(|header| !header.is_empty()) {
            let (name, value) = header.split_once('=').ok_or(ExporterError::Header)?;
            let name: HeaderName = name.trim().parse().map_err(|_| ExporterError::Header)?;
            let mut value: HeaderValue = value.trim().parse().map_err(|_| ExporterError::Header)?;
            value.set_sensitive(true);
            all.append(name, value);
        }
        Ok(Target { url, headers: all })
    }
}

/// Hands trees to the thread that sends them.
#[derive(Clone, Debug)]
pub struct Exporter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sender: Mutex<Option<Sender<Tree>>>,
    waiting: Arc<AtomicUsize>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Exporter {
    /// Starts sending.
    ///
    /// # Errors
    /// When the system gives no thread, or no certificates to trust.
    pub fn start(target: Target, resource: &Resource) -> Result<Exporter, ExporterError> {
        let failed = |error: &dyn std::fmt::Display| ExporterError::Start(error.to_string());
        let client = Client::builder().timeout(PATIENCE).redirect(Policy::none()).build();
        let client = client.map_err(|error| failed(&error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(&error))?;
        let (sender, trees) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let envelope = resource.envelope();
        let sending = Sending {
            wire: Wire { client, target, runtime, envelope },
            trees,
            held: VecDeque::new(),
            waiting: waiting.clone(),
            since: None,
            attempts: 0,
            not_before: None,
            is_away: false,
        };
        let thread = std::thread::Builder::new().name("mainstay-traces".to_owned());
        let thread = thread.spawn(move || sending.run()).map_err(|error| failed(&error))?;
        let (sender, thread) = (Mutex::new(Some(sender)), Mutex::new(Some(thread)));
        Ok(Exporter { inner: Arc::new(Inner { sender, waiting, thread }) })
    }

    /// Takes a tree, or drops it where there is no room.
    pub(crate) fn push(&self, tree: Tree) {
        let Inner { sender, waiting, .. } = &*self.inner;
        let count = tree.steps.len();
        if waiting.load(Ordering::Relaxed) + count > WAITING_MAX {
            return dropped(count);
        }
        let taken = sender.lock().as_ref().is_some_and(|sender| {
            waiting.fetch_add(count, Ordering::Relaxed);
            sender.send(tree).is_ok()
        });
        if !taken {
            dropped(count);
        }
    }

    /// Sends what waits, and takes no more.
    pub fn finish(&self) {
        drop(self.inner.sender.lock().take());
        let thread = self.inner.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that sends traces had panicked");
        }
    }
}

fn dropped(count: usize) {
    counter!(SPANS, "outcome" => "dropped").increment(count as u64);
}

/// What a collector is spoken to with.
struct Wire {
    client: Client,
    target: Target,
    runtime: tokio::runtime::Runtime,
    envelope: ResourceSpans,
}

/// How sending a batch went.
enum Sent {
    /// The collector has taken all but so many spans.
    Taken { refused: usize },
    /// It may take it later.
    Later { words: String, after: Option<Duration> },
    /// It never will.
    Refused(String),
}

/// The thread's state.
struct Sending {
    wire: Wire,
    trees: Receiver<Tree>,
    /// Trees that were taken from the channel, and stay until a collector has them.
    held: VecDeque<Tree>,
    waiting: Arc<AtomicUsize>,
    /// When the first of them was taken.
    since: Option<Instant>,
    attempts: u32,
    /// While a collector is away.
    not_before: Option<Instant>,
    is_away: bool,
}

impl Sending {
    fn run(mut self) {
        loop {
            let now = Instant::now();
            let due = match (self.since, self.not_before) {
                (None, _) => None,
                (Some(_), Some(later)) => Some(later),
                (Some(_), None) if self.count() >= TOGETHER => Some(now),
                (Some(since), None) => Some(since + LINGER),
            };
            let received = match due {
                Some(due) if due <= now => {
                    self.send(PATIENCE, ATTEMPTS_MAX);
                    continue;
                }
                Some(due) => self.trees.recv_timeout(due - now),
                None => self.trees.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match received {
                Ok(tree) => self.hold(tree),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let end = Instant::now() + END_MAX;
        while !self.held.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return dropped(self.count());
            }
            self.send(left, 1);
        }
    }

    fn hold(&mut self, tree: Tree) {
        self.held.push_back(tree);
        self.since.get_or_insert_with(Instant::now);
    }

    fn count(&self) -> usize {
        self.held.iter().map(|tree| tree.steps.len()).sum()
    }

    /// Sends the oldest of those that are held.
    fn send(&mut self, patience: Duration, attempts_max: u32) {
        while self.count() < TOGETHER
            && let Ok(tree) = self.trees.try_recv()
        {
            self.hold(tree);
        }
        let (mut trees, mut steps) = (0, 0);
        while let Some(tree) = self.held.get(trees)
            && steps < TOGETHER
        {
            trees += 1;
            steps += tree.steps.len();
        }
        let request = otlp::request(&self.wire.envelope, self.held.iter().take(trees));
        let sent = self.wire.send(request.encode_to_vec(), patience);
        self.attempts += 1;
        match sent {
            Sent::Taken { refused } => {
                counter!(SPANS, "outcome" => "exported").increment(steps.saturating_sub(refused) as u64);
                if refused > 0 {
                    dropped(refused);
                }
                if std::mem::take(&mut self.is_away) {
                    tracing::info!("the collector takes traces again");
                }
            }
            Sent::Later { words, after } if self.attempts < attempts_max => {
                self.say_away(&words);
                let pause = PAUSE_MIN.saturating_mul(1 << (self.attempts - 1).min(16)).min(PAUSE_MAX);
                self.not_before = Some(Instant::now() + after.unwrap_or(pause).min(PAUSE_MAX));
                return;
            }
            Sent::Later { words, .. } | Sent::Refused(words) => {
                self.say_away(&words);
                dropped(steps);
            }
        }
        self.held.drain(..trees);
        self.waiting.fetch_sub(steps, Ordering::Relaxed);
        self.attempts = 0;
        self.not_before = None;
        self.since = (!self.held.is_empty()).then(Instant::now);
    }

    /// Once, not for each batch.
    fn say_away(&mut self, words: &str) {
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::warn!(
                error = words,
                "the collector does not take traces; those that wait too long are dropped"
            );
        }
    }
}

impl Wire {
    fn send(&self, body: Vec<u8>, patience: Duration) -> Sent {
        let Target { url, headers } = &self.target;
        let request = self
            .client
            .post(url.clone())
            .headers(headers.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .timeout(patience)
            .body(body);
        self.runtime.block_on(async {
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => return Sent::Later { words: with_sources(&error.without_url()), after: None },
            };
            let status = response.status();
            let after =
                response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
            if status.is_success() {
                // What it says beside that is worth nothing more than this.
                let answer = response
                    .bytes()
                    .await
                    .ok()
                    .and_then(|body| ExportTraceServiceResponse::decode(body).ok());
                let partial = answer.and_then(|answer| answer.partial_success);
                let refused = partial.map_or(0, |partial| partial.rejected_spans);
                return Sent::Taken { refused: usize::try_from(refused).unwrap_or(0) };
            }
            let words = format!("it answers {status}");
            match status {
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT => Sent::Later { words, after: after.map(Duration::from_secs) },
                _ => Sent::Refused(words),
            }
        })
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words.push_str(&format!(": {error}"));
        source = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::Target;

    fn url(endpoint: &str) -> Option<String> {
        Target::parse(endpoint, "").ok().map(|target| target.url.to_string())
    }

    #[test]
    fn a_collector_is_named_by_its_base_or_whole() {
        let check =
            |endpoint: &str, url_of: &str| assert_eq!(url(endpoint).as_deref(), Some(url_of), "{endpoint}");
        check("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces");
        check("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces");
        check("https://otel.example.com/api/x", "https://otel.example.com/api/x/v1/traces");
        check("https://otel.example.com/v1/traces", "https://otel.example.com/v1/traces");
        for endpoint in ["", "127.0.0.1:4318", "grpc://x:4317", "http://"] {
            assert_eq!(url(endpoint), None, "{endpoint}");
        }
    }

    #[test]
    fn headers_are_read_and_not_shown() {
        let target = Target::parse("http://x", "authorization=Bearer abc=, x-team = 7").unwrap();
        assert_eq!(target.headers["authorization"], "Bearer abc=");
        assert_eq!(target.headers["x-team"], "7");
        assert!(!format!("{target:?}").contains("abc"), "{target:?}");
        let error = Target::parse("http://x", "Bearer abc").unwrap_err().to_string();
        assert!(!error.contains("abc"), "{error}");
    }
}
