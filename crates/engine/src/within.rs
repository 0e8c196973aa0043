//! Awaiting something as a step of a request.

/// Awaits a future within a span. Where nobody listens it is awaited as it is: moving it into a wrapper first costs more than a small
/// step that is taken in memory.
macro_rules! within {
    ($span:expr, $future:expr) => {{
        let span = $span;
        if span.is_disabled() {
            $future.await
        } else {
            Box::pin(tracing::Instrument::instrument($future, span)).await
        }
    }};
}

pub(crate) use within;
