//! Push as a capability: its tables, its routes, its jobs, and how it is set.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_engine::Clock;
use mainstay_engine::plugin::{Command, Plugin, Setup};
use mainstay_http::SetupHttp as _;
use mainstay_jobs::{Definition, JobSetup as _, Running};

use crate::deliver::{Delivery, deliver, fan_out};
use crate::device::Devices;
use crate::message::Push;
use crate::network::Reach;
use crate::sender::{Platform, Sender};
use crate::vapid::Vapid;
use crate::web::WebPush;
use crate::{command, routes};

/// The tables of the capability.
pub const PUSH_TABLES: &str = include_str!("push.stay");

/// The name of the job that sends a message to all devices of somebody.
pub const PUSH_JOB: &str = "push.send";

/// The name of the job that delivers it to one.
pub(crate) const DELIVER_JOB: &str = "push.deliver";

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a message is tried, in about half a day.
const ATTEMPTS_MAX: u32 = 15;

/// How messages are sent.
#[derive(Clone, Debug)]
pub struct PushOptions {
    /// What keys and devices are encrypted by.
    pub secret: Vec<u8>,
    /// Whom push services write to when something is wrong: `mailto:…` or `https://…`.
    pub contact: String,
    /// Whether messages go to public addresses over TLS alone. While an app is being built they may go anywhere.
    pub public_only: bool,
}

/// The capability.
pub struct PushPlugin {
    options: PushOptions,
}

/// The capability while it runs.
pub(crate) struct Held {
    pub(crate) devices: Devices,
    pub(crate) vapid: Arc<Vapid>,
    pub(crate) reach: Reach,
}

impl PushPlugin {
    /// Messages that are sent so.
    pub fn new(options: PushOptions) -> PushPlugin {
        PushPlugin { options }
    }
}

/// Who sends to which platform, in the app's parts.
#[derive(Default)]
pub(crate) struct Senders(HashMap<Platform, Arc<dyn Sender>>);

impl Senders {
    pub(crate) fn of(&self, platform: Platform) -> Option<Arc<dyn Sender>> {
        self.0.get(&platform).cloned()
    }
}

/// The word that this crate adds to a plugin's set-up.
pub trait SetupPush {
    /// Lets somebody send to the devices of a platform: from now on they may be registered.
    fn push_sender(&mut self, platform: Platform, sender: Arc<dyn Sender>) -> &mut Self;
}

impl SetupPush for Setup<'_> {
    fn push_sender(&mut self, platform: Platform, sender: Arc<dyn Sender>) -> &mut Self {
        self.part::<Senders>().0.insert(platform, sender);
        self
    }
}

impl Plugin for PushPlugin {
    fn name(&self) -> &str {
        "push"
    }

    fn schema(&self) -> &str {
        PUSH_TABLES
    }

    fn build(&self, setup: &mut Setup<'_>) {
        let PushOptions { secret, contact, public_only } = &self.options;
        if !(contact.starts_with("mailto:") || contact.starts_with("https://")) {
            let words = format!("push.contact: {contact:?} begins neither with mailto: nor with https://");
            return setup.problem(words);
        }
        let reach = if *public_only { Reach::Public } else { Reach::Anywhere };
        let vapid = Arc::new(Vapid::new(secret, contact.clone()));
        let held = Arc::new(Held { devices: Devices::new(secret), vapid: vapid.clone(), reach });
        setup.push_sender(Platform::Web, Arc::new(WebPush::new(reach, vapid.clone(), Clock::default())));
        setup.route_table(routes::table(), held.clone());
        let fan_out = Definition::new(PUSH_JOB, |job: Running, push: Push| fan_out(job, push));
        setup.job(fan_out.queue("push").timeout(TIMEOUT));
        let handler = move |job: Running, delivery: Delivery| deliver(held.clone(), job, delivery);
        let deliver = Definition::new(DELIVER_JOB, handler).queue("push");
        setup.job(deliver.timeout(TIMEOUT).attempts(ATTEMPTS_MAX));
        setup.command(Command::new("push", "Messages to devices: list, send.", command::run));
        setup.on_open(move |engine| {
            let vapid = vapid.clone();
            async move { vapid.begin(&engine).await }
        });
    }
}
