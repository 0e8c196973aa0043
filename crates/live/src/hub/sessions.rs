//! Connections and who speaks on them: callers that change while somebody listens.
//!
//! A caller is read when a connection comes, and again whenever a row that it was read from has changed. From the line
//! that says so until the caller was read, the session is frozen: its subscriptions only collect what happens. Then all
//! their rows are read as the new caller sees them, and what differs from what was sent is sent.

use std::sync::Arc;

use mainstay_engine::ctx::Caller;
use mainstay_engine::error::{Error, Key};
use mainstay_lang::schema::TableId;
use mainstay_lang::value::{Timestamp, Value};

use super::{Batch, Buffer, Hub, Session, SessionId, Subscription};
use crate::queue::{Closed, Event, EventKind, Queue};
use crate::registry::SubId;
use crate::request::Request;
use crate::who::{Standing, Who};

/// Rows of callers that are remembered while one is read; when there are more, it is read once more.
const TOUCHED_MAX: usize = 1000;

impl Session {
    /// The user's key as text.
    pub(super) fn user_key(&self) -> Option<Box<str>> {
        self.who.user.as_ref().map(|user| user.to_json().into())
    }
}

impl Hub {
    pub(super) fn join(&mut self, id: SessionId, who: Who, queue: Arc<Queue>) {
        if self.departed.remove(&id) {
            return;
        }
        let session = Session {
            who,
            queue,
            standing: None,
            is_loading: false,
            again: false,
            touched: Vec::new(),
            rows: Vec::new(),
            subs: Default::default(),
        };
        self.sessions.insert(id, session);
        self.index(id, None);
    }

    pub(super) fn identify(&mut self, id: SessionId, who: Who) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let before = session.user_key();
        let count = session.subs.len();
        session.who = who;
        let after = session.user_key();
        for _ in 0..count {
            self.forget_of_user(before.clone());
            self.note_of_user(after.clone());
        }
        self.index(id, None);
        self.refresh(id);
    }

    pub(super) fn leave(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else {
            self.departed.insert(id);
            return;
        };
        for sub in session.subs.values().copied().collect::<Vec<_>>() {
            self.remove(sub);
        }
        self.unindex(id);
        let gone = self.sessions.remove(&id);
        if let Some(at) = gone.and_then(|session| session.standing).and_then(|standing| standing.ends) {
            self.ends.remove(&(at, id));
        }
        if self.sessions.is_empty() {
            self.cursor = None;
        }
    }

    pub(super) async fn subscribe(
        &mut self,
        id: SessionId,
        tag: Arc<str>,
        request: Arc<Request>,
        since: Option<String>,
    ) {
        let followed = self.follow().await;
        let limits = self.reader.limits.clone();
        let Some(session) = self.sessions.get(&id) else { return };
        let refused = |error: Error| Event { tag: tag.clone(), kind: EventKind::Ended(Box::new(error)) };
        if let Err(error) = followed {
            return session.queue.tell(refused(error));
        }
        if session.subs.contains_key(&tag) {
            let words = "This id has a subscription already; unsubscribe it first.";
            return session.queue.tell(refused(Error::new(Key::Request, words)));
        }
        let user = session.user_key();
        let of_user = user.as_ref().and_then(|user| self.of_user.get(user)).copied().unwrap_or(0);
        if session.subs.len() >= limits.per_connection || of_user >= limits.per_user {
            let words = format!(
                "A connection may have {} subscriptions, and a user {}.",
                limits.per_connection, limits.per_user
            );
            let error = Error { retry_after_s: Some(1), ..Error::new(Key::LiveTooMany, words) };
            return session.queue.tell(refused(error));
        }
        self.next_sub += 1;
        let sub_id = self.next_sub;
        let sub = Subscription {
            session: id,
            tag: tag.clone(),
            request,
            epoch: 0,
            active: None,
            buffer: Some(Box::new(Buffer { since, ..Buffer::default() })),
        };
        self.subs.insert(sub_id, sub);
        self.buffering.insert(sub_id);
        self.note_of_user(user);
        let session = self.sessions.get_mut(&id).expect("it was there above");
        session.subs.insert(tag, sub_id);
        match (session.is_loading, session.standing.clone()) {
            // It is read when the caller is there.
            (true, _) => {}
            (false, Some(standing)) => self.read(id, Some(standing), &[sub_id]),
            (false, None) => self.refresh(id),
        }
    }

    /// Reads the caller of a session anew, and then all its subscriptions.
    pub(super) fn refresh(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let subs: Vec<SubId> = session.subs.values().copied().collect();
        if session.is_loading {
            session.again = true;
            return;
        }
        session.is_loading = true;
        session.again = false;
        session.touched.clear();
        if let Some(at) = session.standing.take().and_then(|standing| standing.ends) {
            self.ends.remove(&(at, id));
        }
        self.read(id, None, &subs);
    }

    /// Takes a caller that was read; `false`: it is to be read once more, or nobody is there any more.
    pub(super) fn take_caller(
        &mut self,
        id: SessionId,
        standing: Result<Option<Arc<Standing>>, Error>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        session.is_loading = false;
        if session.again {
            self.refresh(id);
            return false;
        }
        let standing = match standing {
            Ok(Some(standing)) => standing,
            Ok(None) => {
                session.queue.close(Closed::Session("The user is no longer there."));
                self.leave(id);
                return false;
            }
            Err(error) => {
                for sub in session.subs.values().copied().collect::<Vec<_>>() {
                    self.end(sub, error.clone());
                }
                return false;
            }
        };
        session.standing = Some(standing.clone());
        self.ends.extend(standing.ends.map(|at| (at, id)));
        let touched = std::mem::take(&mut session.touched);
        self.index(id, Some(&standing.ctx.caller));
        let rows = self.sessions.get(&id).map(|session| session.rows.as_slice()).unwrap_or_default();
        // A row that it was read from has changed while nobody knew that it would be one.
        if touched.len() >= TOUCHED_MAX || touched.iter().any(|row| rows.contains(row)) {
            self.refresh(id);
            return false;
        }
        true
    }

    /// Freezes sessions that still go by other rules than those that hold: rules may be changed past the log.
    pub(super) fn freeze_outdated(&mut self) {
        let engine = self.engine();
        let is_outdated = |session: &&Session| {
            session.standing.as_ref().is_some_and(|standing| !engine.holds(&standing.planning))
        };
        let sessions = self.sessions.iter().filter(|(_, session)| is_outdated(session));
        let outdated: Vec<SessionId> = sessions.map(|(id, _)| *id).collect();
        outdated.into_iter().for_each(|id| self.refresh(id));
    }

    /// Freezes the sessions for which it is too long ago by now that they have shown who they are.
    pub(super) fn freeze_ended(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.ends.first().copied().filter(|(at, _)| *at < now) {
            self.ends.remove(&(at, id));
            self.refresh(id);
        }
    }

    /// Freezes the sessions whose callers a batch may have changed; all of them where it changes the rules.
    pub(super) fn freeze_touched(&mut self, batch: &Batch) {
        if batch.changes.iter().any(|change| self.engine().changes_rules(change)) {
            // What the rules of before showed is of no use to anybody.
            let all: Vec<SessionId> = self.sessions.keys().copied().collect();
            return all.into_iter().for_each(|id| self.refresh(id));
        }
        let mut rows: Vec<(TableId, Box<str>)> = Vec::new();
        for change in &batch.changes {
            let touched = self.engine().callers_touched(change);
            rows.extend(touched.into_iter().map(|(table, key)| (table, key.to_json().into())));
        }
        if rows.is_empty() {
            return;
        }
        rows.sort_unstable();
        rows.dedup();
        for session in self.sessions.values_mut().filter(|session| session.is_loading) {
            let room = TOUCHED_MAX.saturating_sub(session.touched.len());
            session.touched.extend(rows.iter().take(room).cloned());
        }
        let mut touched: Vec<SessionId> =
            rows.iter().filter_map(|row| self.callers.get(row)).flatten().copied().collect();
        touched.sort_unstable();
        touched.dedup();
        for id in touched {
            self.refresh(id);
        }
    }

    /// Finds a session by the rows that its caller was read from.
    fn index(&mut self, id: SessionId, caller: Option<&Caller>) {
        self.unindex(id);
        let Some(session) = self.sessions.get(&id) else { return };
        let rows = match caller {
            Some(caller) => self.engine().rows_of_caller(caller),
            None => {
                let users = self.engine().schema().user_table();
                users.map(|users| users.id).zip(session.who.user.clone()).into_iter().collect()
            }
        };
        let text = |(table, key): (TableId, Value)| (table, Box::from(key.to_json()));
        let rows: Vec<(TableId, Box<str>)> = rows.into_iter().map(text).collect();
        for row in &rows {
            self.callers.entry(row.clone()).or_default().insert(id);
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.rows = rows;
        }
    }

    fn unindex(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for row in std::mem::take(&mut session.rows) {
            if let Some(sessions) = self.callers.get_mut(&row) {
                sessions.remove(&id);
                if sessions.is_empty() {
                    self.callers.remove(&row);
                }
            }
        }
    }

    fn note_of_user(&mut self, user: Option<Box<str>>) {
        if let Some(user) = user {
            *self.of_user.entry(user).or_default() += 1;
        }
    }

    pub(super) fn forget_of_user(&mut self, user: Option<Box<str>>) {
        let Some(user) = user else { return };
        if let Some(count) = self.of_user.get_mut(&user) {
            *count -= 1;
            if *count == 0 {
                self.of_user.remove(&user);
            }
        }
    }
}
