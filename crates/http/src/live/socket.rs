//! `GET /live`: a WebSocket that takes requests and subscriptions.
//!
//! One task for each socket. It reads a frame only while what the client has asked for before does not pile up: requests
//! under way, subscriptions that wait for their rows, and frames that wait to be sent are bounded, and a client that
//! does not read is not listened to. One that takes nothing at all loses its connection, and is dead to this as well.

use std::collections::HashSet;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header};
use axum::response::Response;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, SinkExt, StreamExt};
use mainstay_engine::error::{Error, Key};
use mainstay_lang::value::Value;
use mainstay_live::{Closed, Connection, Event, EventKind};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at, sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tower::ServiceExt;

use super::frame::{self, RequestFrame, Said};
use super::websocket::{self, Upgrade, WebSocket};
use super::{device, is_welcome, who};
use crate::app::App;
use crate::call::Call;
use crate::client::{self, FORWARDED_FOR, Peer};
use crate::credentials::{Ends, REQUEST_ID, TENANT};
use crate::metrics::live_send;
use crate::router::Entry;

/// The path that a socket is opened at.
const PATH: &str = "/live";
/// Requests of one socket that are under way at a time.
const REQUESTS_MAX: usize = 16;
/// Subscriptions of one socket that wait for their rows at a time.
const PENDING_MAX: usize = 4;
/// Frames that are written before they are sent on together.
const TOGETHER_MAX: usize = 256;
/// How often a silent client is asked whether it is there, and how long it may stay silent.
const PING: Duration = Duration::from_secs(30);
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// Bytes of an answer to a request over a socket.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Close codes: of the protocol, and of our own for credentials that have ended.
const GOING_AWAY: u16 = 1001;
const CREDENTIALS_ENDED: u16 = 4401;

/// Headers that say who asks and for which tenant; a frame's own stand before them.
const CARRIED: [HeaderName; 6] =
    [header::AUTHORIZATION, header::COOKIE, header::HOST, header::ORIGIN, FORWARDED_FOR, TENANT];

/// Headers that a frame's request cannot bring: they belong to a connection, or to bodies of other forms.
const NOT_TAKEN: [HeaderName; 8] = [
    FORWARDED_FOR,
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::ACCEPT,
];

pub(crate) async fn run(call: Call) -> Result<Response, Error> {
    let parameters = call.parameters(&["device"])?;
    let Call { app, ctx, headers, mut extensions, ends, .. } = call;
    let device = device(parameters.text("device")?, &headers);
    if !is_welcome(&headers, &app.options.origins) {
        let words = "Pages of this origin may not open a socket here.";
        return Err(Error::new(Key::Forbidden, words));
    }
    let carried = carried(&headers);
    let peer = extensions.get::<Peer>().copied();
    let bytes_max = app.options.limits.body_bytes_max;
    let (upgrade, response) = Upgrade::of(&headers, &mut extensions, bytes_max)?;
    let place = Arc::clone(&app.listeners).try_acquire_owned();
    let place =
        place.map_err(|_| Error::new(Key::Overloaded, "The server has no place for more sockets."))?;
    let request_id = Arc::clone(&ctx.request_id);
    let user = ctx.caller.user.clone();
    let who = who(&ctx);
    let of_requests = Handle::current();
    tokio::spawn(async move {
        let Some(websocket) = upgrade.socket().await else { return };
        let connection = app.live.connect(who, device).await;
        let entry = Entry::new(&app);
        let live = app.live.clone();
        let socket = Socket {
            app,
            entry,
            of_requests,
            connection,
            carried,
            peer,
            user,
            request_id,
            ends,
            subscribed: HashSet::new(),
            pending: HashSet::new(),
            requests: FuturesUnordered::new(),
        };
        live.spawn(async move {
            socket.serve(websocket).await;
            drop(place);
        });
    });
    Ok(response)
}

struct Socket {
    app: Arc<App>,
    entry: Entry,
    connection: Connection,
    /// What the socket was opened with, or was told since, of who asks and for which tenant.
    carried: HeaderMap,
    /// Where it comes from: its requests come from nowhere else.
    peer: Option<Peer>,
    user: Option<Value>,
    request_id: Arc<str>,
    ends: Option<Ends>,
    /// The ids of subscriptions that the client knows of. One that was ended and begun again is another text in memory.
    subscribed: HashSet<Arc<str>>,
    /// Those of which nothing was sent yet.
    pending: HashSet<Arc<str>>,
    /// Where requests run: not where this socket is served, which stands back behind them.
    of_requests: Handle,
    requests: FuturesUnordered<UnderWay>,
}

/// A request under way; it is given up with its socket, as one by HTTP is with its connection.
struct UnderWay(JoinHandle<String>);

impl Future for UnderWay {
    type Output = Option<String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<String>> {
        // A handler that panics is answered where it runs; without an answer the server stops.
        self.0.poll_unpin(context).map(Result::ok)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is to be done with the socket.
enum Then {
    Say(String),
    Nothing,
    Close(u16, &'static str),
    /// The client is gone.
    Leave,
}

impl Socket {
    async fn serve(mut self, websocket: WebSocket) {
        let (mut sink, mut frames) = websocket.split();
        let mut stopping = self.app.stopping();
        let mut ping = interval_at(tokio::time::Instant::now() + PING, PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let listens = self.requests.len() < REQUESTS_MAX
                && self.pending.len() < PENDING_MAX
                && self.connection.has_room();
            let until_end = self.ends.map(|ends| ends.remaining(&self.app.options.clock));
            let then = tokio::select! {
                event = self.connection.next() => match event {
                    Ok(event) => {
                        let sent = self.send_events(&mut sink, event).await;
                        if sent.is_ok() { Then::Nothing } else { Then::Leave }
                    }
                    Err(Closed::Session(why)) => Then::Close(CREDENTIALS_ENDED, why),
                    Err(Closed::Stopping) => Then::Close(GOING_AWAY, "The server stops."),
                },
                Some(answer) = self.requests.next() => answer.map_or(Then::Nothing, Then::Say),
                message = frames.next(), if listens => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.hear(&text).await,
                        Some(Ok(Message::Binary(_))) => {
                            let error = Error::new(Key::Request, "Frames are text.");
                            Then::Say(frame::refusal("null", &error, &self.request_id))
                        }
                        // Frames come as what they are of.
                        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Then::Nothing,
                        Some(Ok(Message::Close(_)) | Err(_)) | None => Then::Leave,
                    }
                }
                _ = ping.tick() => {
                    // Whoever is not listened to cannot be heard.
                    if listens && heard.elapsed() > SILENCE_MAX {
                        Then::Leave
                    } else {
                        let sent = sink.send(Message::Ping(Default::default())).await;
                        if sent.is_ok() { Then::Nothing } else { Then::Leave }
                    }
                }
                () = sleep(until_end.unwrap_or(Duration::MAX)), if until_end.is_some() => {
                    Then::Close(CREDENTIALS_ENDED, "The token has ended.")
                }
                () = stopping.begun() => Then::Close(GOING_AWAY, "The server stops."),
            };
            match then {
                Then::Nothing => {}
                Then::Say(text) => {
                    if say(&mut sink, text).await.is_err() {
                        return;
                    }
                }
                Then::Close(code, reason) => {
                    let close = CloseFrame { code: code.into(), reason: reason.into() };
                    // A client that does not take it is closed all the same.
                    sink.send(Message::Close(Some(close))).await.ok();
                    return;
                }
                Then::Leave => return,
            }
        }
    }

    /// Sends an event and those that wait behind it.
    async fn send_events<S>(&mut self, sink: &mut S, first: Event) -> Result<(), S::Error>
    where
        S: SinkExt<Message> + Unpin,
    {
        let mut next = Some(first);
        let mut found = Vec::new();
        for _ in 0..TOGETHER_MAX {
            let Some(event) = next.take().or_else(|| self.connection.try_next()) else { break };
            self.pending.remove(&event.tag);
            let is_known =
                self.subscribed.get(&*event.tag).is_some_and(|known| Arc::ptr_eq(known, &event.tag));
            if !is_known {
                continue;
            }
            match &event.kind {
                EventKind::Ended(_) | EventKind::Lagged { .. } => {
                    self.subscribed.remove(&*event.tag);
                }
                EventKind::Change { found: at, .. } => found.push(*at),
                EventKind::Ready { .. } => {}
            }
            let text = frame::event(&event, &self.request_id);
            // The rows of a `ready` may be megabytes, and the client in no hurry.
            drop(event);
            websocket::feed(sink, text).await?;
        }
        sink.flush().await?;
        let now = Instant::now();
        found.into_iter().for_each(|at: Instant| live_send().record((now - at).as_secs_f64()));
        Ok(())
    }

    async fn hear(&mut self, text: &str) -> Then {
        let (id, said) = match frame::read(text) {
            Ok(read) => read,
            Err((id, error)) => return Then::Say(frame::refusal(id, &error, &self.request_id)),
        };
        if !matches!(said, Said::Ping) {
            self.connection.act();
        }
        // A request is counted where all of them are.
        if matches!(said, Said::Auth(_) | Said::Subscribe { .. })
            && let Err(error) = self.admit()
        {
            return Then::Say(frame::refusal(id, &error, &self.request_id));
        }
        match said {
            Said::Ping => Then::Say(frame::done(id)),
            Said::Request(request) => match self.request(&request) {
                Ok(request) => {
                    let answer = answer(self.entry.clone(), request, id.to_owned());
                    self.requests.push(UnderWay(self.of_requests.spawn(answer)));
                    Then::Nothing
                }
                Err(error) => Then::Say(frame::refusal(id, &error, &self.request_id)),
            },
            Said::Auth(token) => match self.identify(token).await {
                Ok(()) => Then::Say(frame::done(id)),
                Err(error) => Then::Say(frame::refusal(id, &error, &self.request_id)),
            },
            Said::Subscribe { request, since } => {
                if self.subscribed.contains(id) {
                    let words = "This id has a subscription already; unsubscribe it first.";
                    let error = Error::new(Key::Request, words);
                    return Then::Say(frame::refusal(id, &error, &self.request_id));
                }
                let tag: Arc<str> = id.into();
                self.subscribed.insert(tag.clone());
                self.pending.insert(tag.clone());
                self.connection.subscribe(tag, *request, since).await;
                Then::Nothing
            }
            Said::Unsubscribe => {
                if let Some(tag) = self.subscribed.take(id) {
                    self.pending.remove(&tag);
                    self.connection.unsubscribe(tag).await;
                }
                Then::Say(frame::done(id))
            }
        }
    }

    /// Counts what is asked for by a frame as a request of the socket's path.
    fn admit(&self) -> Result<(), Error> {
        let admission = self.app.admission();
        let named = (&Method::GET, PATH);
        let client = || {
            let mut extensions = Extensions::new();
            extensions.insert(self.peer?);
            client::address(&self.app.options.trusted_proxies, &extensions, &self.carried)
        };
        self.app.admit_address(&admission, named, client)?;
        self.app.admit_user(&admission, named, self.user.as_ref())
    }

    /// Takes other credentials; refused ones leave those that were.
    async fn identify(&mut self, token: Option<String>) -> Result<(), Error> {
        let mut headers = self.carried.clone();
        headers.remove(header::AUTHORIZATION);
        headers.remove(header::COOKIE);
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| Error::new(Key::Credentials, "The token is not valid here."))?;
            headers.insert(header::AUTHORIZATION, value);
        }
        let carried = headers.clone();
        let (app, request_id) = (Arc::clone(&self.app), Arc::clone(&self.request_id));
        let read =
            async move { app.credentials.context(&app.engine, (&Method::GET, &headers), request_id).await };
        let (ctx, ends) = self.of_requests.spawn(read).await.map_err(Error::internal)??;
        self.carried = carried;
        self.ends = ends;
        self.user.clone_from(&ctx.caller.user);
        self.connection.identify(who(&ctx)).await;
        Ok(())
    }

    /// The request that a frame stands for.
    fn request(&self, frame: &RequestFrame<'_>) -> Result<Request<Body>, Error> {
        let refused = |words: String| Error::new(Key::Request, words);
        let method = Method::from_str(frame.method.as_deref().unwrap_or("GET"))
            .map_err(|_| refused("`method` is no method.".to_owned()))?;
        let target = frame.path.starts_with('/').then(|| Uri::from_str(&frame.path).ok()).flatten();
        let target = target.ok_or_else(|| refused("`path` is no path, such as `/api/Alert`.".to_owned()))?;
        let body = frame.body.map_or_else(Body::empty, |body| Body::from(body.get().to_owned()));
        let mut request = Request::new(body);
        // Of no connection of its own, so that no `Host` is asked of it.
        *request.version_mut() = Version::HTTP_2;
        *request.method_mut() = method;
        *request.uri_mut() = target;
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        let headers = request.headers_mut();
        if frame.body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.extend(self.carried.clone());
        for (name, value) in &frame.headers {
            let name = HeaderName::from_str(name)
                .map_err(|_| refused("`headers` has a name that no header can have.".to_owned()))?;
            let value = HeaderValue::from_str(value)
                .map_err(|_| refused(format!("The header `{name}` has a value that no header can have.")))?;
            if !NOT_TAKEN.contains(&name) {
                headers.insert(name, value);
            }
        }
        Ok(request)
    }
}

/// Sends a text.
async fn say<S>(sink: &mut S, text: String) -> Result<(), S::Error>
where
    S: SinkExt<Message> + Unpin,
{
    websocket::feed(sink, text).await?;
    sink.flush().await
}

/// The headers of a socket that count for its requests, too.
fn carried(headers: &HeaderMap) -> HeaderMap {
    let mut carried = HeaderMap::new();
    for name in &CARRIED {
        for value in headers.get_all(name) {
            carried.append(name, value.clone());
        }
    }
    carried
}

/// Runs a request by the way that every other one takes.
async fn answer(entry: Entry, request: Request<Body>, id: String) -> String {
    let Ok(response) = entry.oneshot(request).await;
    let (parts, body) = response.into_parts();
    match to_bytes(body, ANSWER_BYTES_MAX).await {
        Ok(body) => frame::answer(&id, parts.status, &parts.headers, &body),
        Err(_) => {
            let words = "The answer is too large for a socket; ask for it by HTTP.";
            let request_id = parts.headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
            frame::refusal(&id, &Error::new(Key::Limit, words), request_id.unwrap_or_default())
        }
    }
}
