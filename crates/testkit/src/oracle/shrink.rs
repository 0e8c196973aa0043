//! Making a case that fails small: pieces are taken away as long as it fails in the same way.

use std::time::{Duration, Instant};

use super::case::{AppText, Case};
use super::judge::{self, Verdict};
use crate::database::DatabaseKind;

/// A small case in which engine and oracle differ, and how; the case itself when nothing can be taken away.
pub async fn shrink(
    kind: DatabaseKind,
    case: Case,
    wanted: &str,
    expected: String,
    found: String,
    patience: Duration,
) -> (Case, String, String) {
    let until = Instant::now() + patience;
    let mut least = (case, expected, found);
    'again: loop {
        for smaller in smaller(&least.0) {
            if Instant::now() > until {
                break 'again;
            }
            if let Some(Verdict::Differs { sort, expected, found }) = judge::case(kind, &smaller).await
                && sort == wanted
            {
                least = (smaller, expected, found);
                continue 'again;
            }
        }
        break;
    }
    least
}

fn smaller(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    for (at, (_, rows)) in case.rows.iter().enumerate() {
        if !rows.is_empty() {
            let mut copy = case.clone();
            copy.rows[at].1.clear();
            found.push(copy);
        }
    }
    if let AppText::Model(app) = &case.app {
        found.extend(app.smaller().into_iter().map(|app| Case { app: AppText::Model(app), ..case.clone() }));
    }
    found.extend(case.request.smaller().into_iter().map(|request| Case { request, ..case.clone() }));
    for (at, (_, rows)) in case.rows.iter().enumerate() {
        for row in 0..rows.len() {
            let mut copy = case.clone();
            copy.rows[at].1.remove(row);
            found.push(copy);
        }
    }
    for (at, (name, rows)) in case.rows.iter().enumerate() {
        if name.contains('.') {
            continue;
        }
        for (row, values) in rows.iter().enumerate() {
            for (value, (name, _)) in values.iter().enumerate() {
                if !matches!(name.as_str(), "id" | "created" | "updated") {
                    let mut copy = case.clone();
                    copy.rows[at].1[row].remove(value);
                    found.push(copy);
                }
            }
        }
    }
    for name in &case.asker.permissions {
        let mut copy = case.clone();
        copy.asker.permissions.remove(name);
        found.push(copy);
    }
    for name in &case.asker.roles {
        let mut copy = case.clone();
        copy.asker.roles.remove(name);
        found.push(copy);
    }
    if case.asker.tenant.is_some() {
        let mut copy = case.clone();
        copy.asker.tenant = None;
        found.push(copy);
    }
    if case.asker.user.is_some() {
        let mut copy = case.clone();
        copy.asker.user = None;
        found.push(copy);
    }
    found
}
