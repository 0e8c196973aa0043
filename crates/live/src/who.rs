//! Who listens: as the credentials say, and as was read of that one.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use mainstay_engine::Planning;
use mainstay_engine::ctx::{Caller, CallerRow, Ctx};
use mainstay_lang::value::{Timestamp, Value};
use sha2::{Digest, Sha256};

use crate::work::now;

/// Who listens. What that one may see is read, and read again when it changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Who {
    /// The key of the user's row; none: nobody in particular.
    pub user: Option<Value>,
    /// Whether every rule is passed.
    pub admin: bool,
    /// The tenant that is listened to.
    pub tenant: Option<Value>,
    /// The session behind the credentials.
    pub session: Option<Value>,
}

impl Who {
    /// A context of now; whoever reads later gives it another time.
    pub(crate) fn ctx(&self, caller: Arc<Caller>) -> Ctx {
        static REQUEST_ID: LazyLock<Arc<str>> = LazyLock::new(|| "live".into());
        Ctx {
            caller,
            tenant: self.tenant.clone(),
            session: self.session.clone(),
            now: now(),
            deadline: Instant::now() + Duration::from_secs(30),
            request_id: REQUEST_ID.clone(),
            trace: None,
        }
    }

    /// The same with what was read of the caller under the rules of one time.
    pub(crate) fn standing(&self, planning: Arc<Planning>, caller: Arc<Caller>) -> Arc<Standing> {
        let ctx = self.ctx(caller);
        let confirmed = planning.confirmed(&ctx);
        Arc::new(Standing {
            print: print_of(&ctx, &confirmed),
            ends: planning.confirmed_ends(&ctx),
            ctx,
            planning,
        })
    }
}

/// Who listens, as that one was read at one time: shared by all subscriptions of a connection.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Clock and deadline are those of whoever reads.
    pub(crate) ctx: Ctx,
    /// The rules that say what that one sees.
    pub(crate) planning: Arc<Planning>,
    /// When it is to be read again though nobody has changed it: what was shown a moment ago is too long ago then.
    pub(crate) ends: Option<Timestamp>,
    /// A hash of everything in it that a rule may read.
    pub(crate) print: [u8; 32],
}

fn print_of(ctx: &Ctx, confirmed: &[bool]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    let caller = &ctx.caller;
    let json = |value: &Option<Value>| value.as_ref().map(Value::to_json).unwrap_or_default();
    add(if caller.admin { "admin" } else { "" });
    add(&json(&caller.user));
    add(&json(&ctx.tenant));
    add(&json(&ctx.session));
    for names in [&caller.permissions, &caller.roles] {
        add(&names.len().to_string());
        names.iter().for_each(|name| add(name));
    }
    confirmed.iter().for_each(|is| add(if *is { "confirmed" } else { "" }));
    let row = caller.row.iter().flat_map(CallerRow::iter);
    row.for_each(|(_, value)| add(&value.into_value().to_json()));
    hash.finalize().into()
}
