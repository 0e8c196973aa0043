//! Any read as a stream of events (`Accept: text/event-stream`): one subscription for as long as the client stays.
//!
//! The events are those of the socket. `id:` is the place in the log, so that a browser that comes back says by itself where
//! it was (`Last-Event-ID`). What is wrong with the request is answered before the stream begins, with its status.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream::unfold;
use mainstay_engine::Clock;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::Part;
use mainstay_live::{Closed, Connection, Event, EventKind, Request};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::sleep;

use super::{device, frame, is_welcome, who};
use crate::app::Stopping;
use crate::call::Call;
use crate::credentials::Ends;
use crate::metrics::live_send;

/// How often something is sent when there is nothing to tell, so that whoever stands between does not hang up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Bytes from which on no more events are put into one piece.
const PIECE_BYTES: usize = 16 << 10;

/// Whether a request asks for events instead of an answer.
pub(crate) fn is_asked_for(call: &Call) -> bool {
    let accepted = call.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|value| value.split(',')).filter_map(|kind| kind.split(';').next());
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// The events of one part.
pub(crate) async fn run(call: Call, table: String, part: Part) -> Result<Response, Error> {
    if !is_welcome(&call.headers, &call.app.options.origins) {
        let words = "Pages of this origin may not listen here.";
        return Err(Error::new(Key::Forbidden, words));
    }
    let place = Arc::clone(&call.app.listeners).try_acquire_owned();
    let place =
        place.map_err(|_| Error::new(Key::Overloaded, "The server has no place for more listeners."))?;
    let since = match call.headers.get("last-event-id").map(HeaderValue::to_str) {
        Some(Ok(id)) => Some(id.to_owned()).filter(|id| !id.is_empty()),
        Some(Err(_)) => return Err(Error::new(Key::LiveSince, "`Last-Event-ID` is no place of ours.")),
        None => None,
    };
    let connection = call.app.live.connect(who(&call.ctx), device(None, &call.headers)).await;
    connection.subscribe(Arc::from("events"), Request::of(table, part), since).await;
    let first = match connection.next().await {
        Ok(Event { kind: EventKind::Ended(error), .. }) => return Err(*error),
        Ok(event) => event,
        Err(Closed::Session(why)) => return Err(Error::new(Key::Credentials, why)),
        Err(Closed::Stopping) => return Err(Error::new(Key::Overloaded, "The server stops.")),
    };
    let listener = Listener {
        connection,
        first: Some(first),
        stopping: call.app.stopping(),
        ends: call.ends,
        clock: call.app.options.clock.clone(),
        request_id: Arc::clone(&call.ctx.request_id),
        is_over: false,
        _place: place,
    };
    let (pieces, taken) = mpsc::channel(1);
    call.app.live.spawn(listener.tell(pieces));
    let events =
        unfold(taken, |mut taken| async move { Some((Ok::<Bytes, Infallible>(taken.recv().await?), taken)) });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("authorization, cookie, accept"));
    // Proxies that gather answers would keep events to themselves.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

struct Listener {
    connection: Connection,
    first: Option<Event>,
    stopping: Stopping,
    ends: Option<Ends>,
    clock: Clock,
    request_id: Arc<str>,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// Tells everything until the stream is over, or nobody reads it any more.
    async fn tell(mut self, pieces: mpsc::Sender<Bytes>) {
        loop {
            let first = tokio::select! {
                text = self.next() => text,
                () = pieces.closed() => return,
            };
            let Some(mut text) = first else { return };
            while text.len() < PIECE_BYTES && !self.is_over {
                let Some(event) = self.connection.try_next() else { break };
                text.push_str(&self.words(event));
            }
            // Whoever is gone is seen to be so above.
            pieces.send(text.into()).await.ok();
        }
    }

    /// The text of the next event; `None`: the stream is over.
    async fn next(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        let event = match self.first.take() {
            Some(event) => event,
            None => {
                let until_end = self.ends.map(|ends| ends.remaining(&self.clock));
                tokio::select! {
                    event = self.connection.next() => match event {
                        Ok(event) => event,
                        Err(Closed::Session(why)) => return Some(self.over(why)),
                        Err(Closed::Stopping) => return None,
                    },
                    () = sleep(until_end.unwrap_or(Duration::MAX)), if until_end.is_some() => {
                        return Some(self.over("The token has ended."));
                    }
                    () = self.stopping.begun() => return None,
                    () = sleep(KEEP_ALIVE) => return Some(":\n\n".to_owned()),
                }
            }
        };
        Some(self.words(event))
    }

    fn words(&mut self, event: Event) -> String {
        let place = match &event.kind {
            EventKind::Ready { seq, .. } | EventKind::Change { seq, .. } => Some(seq.text()),
            EventKind::Lagged { since } => Some(since.text()),
            EventKind::Ended(_) => None,
        };
        self.is_over = matches!(event.kind, EventKind::Ended(_) | EventKind::Lagged { .. });
        if let EventKind::Change { found, .. } = event.kind {
            live_send().record(Instant::now().duration_since(found).as_secs_f64());
        }
        let id = place.map(|place| format!("id: {place}\n")).unwrap_or_default();
        // JSON has no line breaks but escaped ones, if it was made here.
        let data = frame::members(&event.kind, &self.request_id).replace('\n', " ");
        format!("{id}data: {{{data}}}\n\n")
    }

    fn over(&mut self, why: &str) -> String {
        self.is_over = true;
        let error = EventKind::Ended(Box::new(Error::new(Key::Credentials, why)));
        format!("data: {{{}}}\n\n", frame::members(&error, &self.request_id))
    }
}
