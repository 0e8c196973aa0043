//! The jobs: a message becomes one for each device of its receiver, and each of those is delivered, tried again, or forgotten.

use std::sync::Arc;
use std::time::Duration;

use mainstay_engine::error::Error;
use mainstay_engine::hook::Row;
use mainstay_jobs::{JobError, NewJob, Running};
use mainstay_lang::value::{Timestamp, Value};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::device::{look_up, operation, wire};
use crate::message::Push;
use crate::plugin::{DELIVER_JOB, Held, Senders};
use crate::sender::{Message, Platform, SendError};

/// A push service that asks for a longer pause is asked again all the same.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// How often it is noted that a device was reached.
const NOTED_EVERY_US: i64 = 3600 * 1_000_000;

/// A message to one device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Delivery {
    device: Uuid,
    /// When it is worth nothing any more, in microseconds since 1970.
    until_us: i64,
    push: Push,
}

/// Makes a job for each device of the receiver.
pub(crate) async fn fan_out(job: Running, push: Push) -> Result<(), JobError> {
    if let Err(error) = push.check() {
        return Err(JobError::Discard(error.to_string()));
    }
    let owner = push.receiver().as_str().and_then(|text| Uuid::try_parse(text).ok()).map(Value::Uuid);
    let owner = match (owner, push.receiver()) {
        (Some(owner), _) => owner,
        (None, Json::Number(number)) => number.as_i64().map_or(Value::Null, Value::Int),
        (None, Json::String(text)) => Value::Text(text.clone()),
        _ => Value::Null,
    };
    let devices = look_up(job.engine(), "Device", "owner == $owner", &[("owner", owner)]).await?;
    let until_us = job.now().0.saturating_add(i64::try_from(push.lasts().as_micros()).unwrap_or(i64::MAX));
    let (mut jobs, mut left) = (Vec::new(), Vec::new());
    for device in &devices {
        let Value::Uuid(id) = device.key() else { continue };
        if !has_session(&job, device).await? {
            left.push(id.to_string());
            continue;
        }
        jobs.push(NewJob::new(DELIVER_JOB, &Delivery { device: *id, until_us, push: push.clone() }));
    }
    let documents = match left.is_empty() {
        true => json!([]),
        false => json!([{"Device": {"id": left, "delete": true}}]),
    };
    job.complete_and_enqueue(&job.ctx(), &operation(&documents)?, jobs).await?;
    Ok(())
}

/// Whether whoever registered a device is signed in there still; without sessions in this app, they are.
async fn has_session(job: &Running, device: &Row) -> Result<bool, Error> {
    let session = device.value("session")?.clone();
    if session.is_null() || job.engine().schema().table_named("Session").is_none() {
        return Ok(true);
    }
    let values = [("id", session), ("now", Value::Timestamp(job.now()))];
    let found = look_up(job.engine(), "Session", "id == $id and ended == null and expires > $now", &values);
    Ok(!found.await?.is_empty())
}

/// Delivers a message to one device.
pub(crate) async fn deliver(held: Arc<Held>, job: Running, delivery: Delivery) -> Result<(), JobError> {
    let values = [("id", Value::Uuid(delivery.device))];
    let device = look_up(job.engine(), "Device", "id == $id", &values).await?.into_iter().next();
    // It was taken away meanwhile.
    let Some(device) = device else { return Ok(()) };
    let name = device.text("platform").unwrap_or_default();
    let platform =
        Platform::ALL.into_iter().find(|platform| platform.text() == name).unwrap_or(Platform::Other);
    let count = |outcome: &'static str| {
        metrics::counter!("mainstay_push_total", "platform" => platform.text(), "outcome" => outcome)
            .increment(1);
    };
    let left_us = delivery.until_us.saturating_sub(job.now().0);
    if left_us <= 0 {
        count("late");
        return Ok(());
    }
    let Some(sender) = job.engine().parts().get::<Senders>().and_then(|senders| senders.of(platform)) else {
        count("refused");
        return Err(JobError::Discard(format!("this app sends nothing to {platform}")));
    };
    let Some(target) = held.devices.target(&device) else {
        count("refused");
        return Err(JobError::Discard("the device was registered under another auth.secret".to_owned()));
    };
    let push = &delivery.push;
    let message = Message {
        target: &target,
        title: &push.title,
        body: push.body.as_deref(),
        data: &push.data,
        ttl: Duration::from_micros(left_us.unsigned_abs()),
        urgency: push.urgency,
        topic: push.topic.as_deref(),
    };
    match sender.send(message).await {
        Ok(()) => {
            count("delivered");
            note(&job, &device).await;
            Ok(())
        }
        Err(SendError::Gone) => {
            count("gone");
            job.query(json!({"Device": {"id": wire(device.key()), "delete": true}})).await?;
            Ok(())
        }
        Err(SendError::Later(pause)) => {
            count("retried");
            Err(JobError::Later(pause.clamp(Duration::from_secs(1), PAUSE_MAX)))
        }
        Err(SendError::Retry(words)) => {
            count("retried");
            Err(JobError::Retry(words))
        }
        Err(SendError::Refused(words)) => {
            count("refused");
            Err(JobError::Discard(words))
        }
    }
}

/// Notes that a device was reached, not every time.
async fn note(job: &Running, device: &Row) {
    let now = job.now();
    let is_noted = matches!(
        device.value("delivered"),
        Ok(Value::Timestamp(Timestamp(at))) if now.0.saturating_sub(*at) < NOTED_EVERY_US
    );
    if is_noted {
        return;
    }
    let set = json!({"Device": {"id": wire(device.key()), "set": {"delivered": now.to_string()}}});
    // The message has arrived: it is not sent again because this could not be written.
    if let Err(error) = job.query(set).await {
        tracing::debug!(%error, "it could not be noted that a device was reached");
    }
}
