//! Which trace a request belongs to: the W3C's Trace Context, levels 1 and 2, as values.
//!
//! A trace is what several programs, and jobs behind them, do for one purpose. Whoever calls says in `traceparent` which one it is,
//! which of its own steps the call is, and whether the trace is kept ("sampled"); what comes of the call goes on with it. Nothing here
//! records anything: that is a matter of whoever listens to spans. Whether this process keeps traces, and which share of those that
//! begin here, is said once for the process, as what listens to spans is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// Bits of the flags.
const SAMPLED: u8 = 0b01;
const RANDOM: u8 = 0b10;

/// Length of version 00; later ones may say more behind it.
const LENGTH: usize = 55;

/// A longer `tracestate` may be dropped (Trace Context, 3.3.1.5).
const STATE_BYTES_MAX: usize = 512;

/// Which share of the traces that begin here is kept, in steps of [`WHOLE`]; [`NONE`]: none begin here.
static SHARE: AtomicU64 = AtomicU64::new(NONE);
const WHOLE: u64 = 1 << 32;
const NONE: u64 = u64::MAX;

/// From now on traces begin in this process, and this share of them is kept, from 0 to 1.
pub fn begin_traces(share: f64) {
    SHARE.store((share.clamp(0.0, 1.0) * WHOLE as f64) as u64, Ordering::Relaxed);
}

fn share() -> Option<u64> {
    Some(SHARE.load(Ordering::Relaxed)).filter(|share| *share != NONE)
}

/// A place in a trace: that of whatever carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: u128,
    /// The step of it that this is.
    pub span_id: u64,
    /// The step of somebody else that led to it, where this one is told to the collector.
    pub parent: Option<u64>,
    /// Version 00's flags that are known.
    flags: u8,
    /// `tracestate`: what others want to have passed on.
    pub state: Option<Arc<str>>,
}

impl TraceContext {
    /// The place of whoever calls, as `traceparent` and `tracestate` say it; none: they say nothing that is valid.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<TraceContext> {
        let text = traceparent.as_bytes();
        let is_separated = text.len() >= LENGTH && [2, 35, 52].iter().all(|at| text[*at] == b'-');
        if !is_separated {
            return None;
        }
        let version = hex(&text[0..2])?;
        let is_whole = text.len() == LENGTH || (version > 0 && text[LENGTH] == b'-');
        if version == 0xff || !is_whole {
            return None;
        }
        let trace_id = hex(&text[3..35]).filter(|id| *id > 0)?;
        let span_id = hex(&text[36..52]).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0)?;
        let flags = u8::try_from(hex(&text[53..55])?).ok()?;
        let is_plain = |state: &&str| {
            (1..=STATE_BYTES_MAX).contains(&state.len())
                && state.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        let state = tracestate.filter(is_plain).map(Arc::from);
        Some(TraceContext { trace_id, span_id, parent: None, flags: flags & (SAMPLED | RANDOM), state })
    }

    /// A new trace, where this process begins traces.
    pub fn begin() -> Option<TraceContext> {
        let share = share()?;
        let [id, chance] = [Uuid::new_v4(), Uuid::new_v4()];
        // Of a random UUID the last seven bytes are random throughout, which is what the flag promises.
        let drawn = chance.as_u64_pair().1 % WHOLE;
        let sampled = if drawn < share { SAMPLED } else { 0 };
        let (trace_id, span_id) = (id.as_u128(), new_span_id());
        Some(TraceContext { trace_id, span_id, parent: None, flags: sampled | RANDOM, state: None })
    }

    /// The place of what somebody at this one has led to. Where it is told to nobody it is the same, so that what comes of it is
    /// still found under a step that is known.
    #[must_use]
    pub fn child(&self) -> TraceContext {
        match self.is_recorded() {
            true => TraceContext { span_id: new_span_id(), parent: Some(self.span_id), ..self.clone() },
            false => self.clone(),
        }
    }

    /// Whether whoever began the trace keeps it.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED > 0
    }

    /// Whether what is done here is told to the collector.
    pub fn is_recorded(&self) -> bool {
        self.is_sampled() && share().is_some()
    }

    /// The trace's id, as logs and collectors write it.
    pub fn id(&self) -> impl fmt::Display + use<> {
        TraceId(self.trace_id)
    }

    /// The step's id, where it is told to the collector.
    pub fn recorded_id(&self) -> Option<SpanId> {
        self.is_recorded().then_some(SpanId(self.span_id))
    }

    /// The id of the step that led to it, where that is told to the collector.
    pub fn parent_id(&self) -> Option<SpanId> {
        self.parent.map(SpanId)
    }
}

/// `traceparent`, for whoever is called from here.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

struct TraceId(u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A step's id, as logs and collectors write it.
#[derive(Clone, Copy, Debug)]
pub struct SpanId(u64);

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

fn new_span_id() -> u64 {
    // Its first half has bits that are always the same.
    Uuid::new_v4().as_u64_pair().1.max(1)
}

/// Lower-case hexadecimal digits as a number.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number << 4 | u128::from(digit - b'0')),
        b'a'..=b'f' => Some(number << 4 | u128::from(digit - b'a' + 10)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::TraceContext;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parsed(text: &str) -> Option<String> {
        TraceContext::parse(text, None).map(|trace| trace.to_string())
    }

    #[test]
    fn what_is_valid_is_passed_on_as_version_00() {
        let check = |given: &str, passed: &str| assert_eq!(parsed(given).as_deref(), Some(passed), "{given}");
        check(GIVEN, GIVEN);
        let of_flags = |flags: &str| GIVEN.replace("-01", flags);
        check(&of_flags("-00"), &of_flags("-00"));
        check(&of_flags("-03"), &of_flags("-03"));
        // Flags that are not known are not passed on, and a later version is read as far as it is known.
        check(&of_flags("-ff"), &of_flags("-03"));
        check(&format!("cc{}-what-comes", &GIVEN[2..]), GIVEN);
        check(&format!("cc{}", &GIVEN[2..]), GIVEN);
    }

    #[test]
    fn what_is_not_valid_is_no_trace() {
        let check = |given: &str| assert_eq!(parsed(given), None, "{given}");
        check("");
        check("nonsense");
        check(&GIVEN.to_uppercase());
        check(&GIVEN[..54]);
        check(&format!("{GIVEN}-00"));
        check(&format!("{GIVEN}0"));
        check(&format!("cc{}.what", &GIVEN[2..]));
        check(&format!("ff{}", &GIVEN[2..]));
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01");
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01");
        check("00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01");
        check("00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-0");
    }

    #[test]
    fn the_state_of_others_is_kept_while_it_is_short_and_plain() {
        let state = |given: &str| TraceContext::parse(GIVEN, Some(given)).unwrap().state;
        assert_eq!(state("a=1,b@c=2").as_deref(), Some("a=1,b@c=2"));
        assert_eq!(state(""), None);
        assert_eq!(state("a=ä"), None);
        assert_eq!(state(&"a".repeat(513)), None);
    }
}
