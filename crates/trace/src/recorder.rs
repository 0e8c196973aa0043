//! A layer of the subscriber that makes trees of spans.
//!
//! A root is recorded where the log shows steps, or where its fields say that its trace is kept; what is not recorded costs the look at
//! that. What stands beneath a root is recorded with it, whichever thread it runs on: a span is part of the one within which it was
//! opened. Nothing is recorded of what the subscriber's filters keep away from this layer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::metadata::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::exporter::Exporter;
use crate::recording::{Fields, Growing};

/// The field that makes a span the root of a tree.
const ROOT: &str = "trace_id";
/// The field of an event that ends a root: what it says is said of the root.
const END: &str = "tree";

/// Whether an event ends a root.
pub(crate) fn is_end(metadata: &Metadata<'_>) -> bool {
    metadata.fields().field(END).is_some()
}

/// Records trees.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// Whether the log shows steps.
    is_shown: Arc<AtomicBool>,
    exporter: Option<Exporter>,
}

impl Recorder {
    /// With somebody who is told of those whose trace is kept.
    pub fn new(exporter: Option<Exporter>) -> Recorder {
        Recorder { is_shown: Arc::default(), exporter }
    }

    /// From now on the log shows steps, or does not: as soon as it shows anything at the level of debugging.
    pub fn show(&self, level: Option<LevelFilter>) {
        self.is_shown.store(level.is_none_or(|level| level >= Level::DEBUG), Ordering::Relaxed);
    }

    /// Whether somebody beyond the log is told.
    pub fn is_exporting(&self) -> bool {
        self.exporter.is_some()
    }

    pub(crate) fn is_shown(&self) -> bool {
        self.is_shown.load(Ordering::Relaxed)
    }

    fn records(&self) -> bool {
        self.exporter.is_some() || self.is_shown()
    }
}

impl<S> Layer<S> for Recorder
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !self.records() {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let metadata = attributes.metadata();
        let growing = if metadata.fields().field(ROOT).is_some() {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            let is_kept = self.exporter.is_some() && fields.get("span_id").is_some();
            (is_kept || self.is_shown()).then(|| Growing::begin(metadata.name(), fields))
        } else {
            let around = span.parent().and_then(|parent| parent.extensions().get::<Growing>().cloned());
            around.and_then(|around| {
                let mut fields = Fields::default();
                attributes.record(&mut fields);
                around.step(metadata.name(), fields)
            })
        };
        if let Some(growing) = growing {
            span.extensions_mut().insert(growing);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if !self.records() {
            return;
        }
        let Some(span) = context.span(id) else { return };
        if let Some(growing) = span.extensions().get::<Growing>() {
            growing.tell(|fields| values.record(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let is_end = is_end(event.metadata());
        if !self.records() || !(is_end || *event.metadata().level() <= Level::WARN) {
            return;
        }
        // An event may leave the span out of its line and be about it all the same.
        let Some(span) = context.event_span(event).or_else(|| context.lookup_current()) else { return };
        let Some(growing) = span.extensions().get::<Growing>().cloned() else { return };
        if is_end {
            growing.tell(|fields| event.record(fields));
        } else {
            let mut fields = Fields::default();
            event.record(&mut fields);
            growing.note(*event.metadata().level() == Level::ERROR, fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if !self.records() {
            return;
        }
        let Some(span) = context.span(&id) else { return };
        let Some(growing) = span.extensions_mut().remove::<Growing>() else { return };
        growing.end();
        if let Some(exporter) = &self.exporter
            && let Some(tree) = growing.whole()
            && tree.place.is_some()
        {
            exporter.push(tree);
        }
    }
}

/// What the recorder hears of where the log's level is not to decide it: roots, the steps within those that are recorded, and what
/// goes wrong in them. Steps of the others are not even made.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecorderFilter;

impl RecorderFilter {
    fn concerns(metadata: &Metadata<'_>) -> bool {
        let (level, is_own) = (*metadata.level(), metadata.target().starts_with("mainstay"));
        match metadata.is_span() {
            true => level <= Level::INFO || (is_own && level <= Level::DEBUG),
            false => level <= Level::WARN || is_end(metadata),
        }
    }
}

impl<S> Filter<S> for RecorderFilter
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        if !RecorderFilter::concerns(metadata) {
            return false;
        }
        let is_root = metadata.is_span() && metadata.fields().field(ROOT).is_some();
        is_root || context.lookup_current().is_some_and(|span| span.extensions().get::<Growing>().is_some())
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if RecorderFilter::concerns(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }
}
