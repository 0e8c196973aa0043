//! The threads that hashes are made on, and the queue before them.
//!
//! A hash cannot be interrupted, and a processor that makes one is not given up for whoever wakes beside it until the kernel's slice is
//! over: milliseconds, in which a read would have been answered ten times. So hashes are made by threads of the policy `SCHED_IDLE`,
//! which the kernel takes a processor from as soon as anybody else wants it. Of a machine that is busy throughout these get next to
//! nothing; a hash that is not done within [`STALLED`] is made once more by a thread that asks for a fair, small share, and whoever is done
//! first answers. So requests are delayed by hashes only where nothing else lets people in.
//!
//! A thread that can be stopped at any time must not hold what others wait for, such as a lock of the queue or one inside of the
//! runtime that it wakes: they would wait for as long as it stands still. So it computes and nothing else; what comes before and behind is
//! done by a thread of its own that stands back for nobody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long the threads behind all others may take for one hash before another one helps out.
const STALLED: Duration = Duration::from_secs(1);

/// How far that one stands back: it gets about a tenth of what requests get of a processor that both want.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// What is to be done once.
pub(super) trait Work: Send + Sync + 'static {
    /// What comes of it.
    type Done: Send;

    /// Whether nobody waits for it, any more or by now.
    fn is_over(&self) -> bool;

    /// Somebody is about to do it.
    fn begin(&self);

    /// Does it, and touches nothing that anybody else may wait for. It may be done twice.
    fn run(&self) -> Self::Done;

    /// Hands out what has come of it, if nobody has yet.
    fn finish(&self, done: Self::Done);
}

/// Work that waits, and what is done of it.
pub(super) struct Queue<W> {
    state: Mutex<State<W>>,
    /// Something waits.
    waiting: Condvar,
    /// Something was begun, or waits while something stalls.
    begun: Condvar,
    waiting_max: usize,
}

struct State<W> {
    waiting: VecDeque<Arc<W>>,
    /// How much more has been given a place.
    promised: usize,
    /// What each thread does, and since when.
    doing: Vec<Option<(Arc<W>, Instant)>>,
    is_closed: bool,
}

/// Work that was done, given back so that another thread forgets it, and what has come of it.
type Ran<W> = (Arc<W>, <W as Work>::Done);

/// What a thread does.
type Run<W> = Box<dyn FnOnce(&Queue<W>) + Send>;

/// What the thread that helps out does next.
enum Help<W> {
    Do(Arc<W>),
    Wait(Option<Instant>),
    End,
}

impl<W: Work> Queue<W> {
    /// A queue of so many at most, with so many threads behind all others and one that helps out.
    ///
    /// # Errors
    /// When the system has no threads.
    pub(super) fn start(threads: usize, waiting_max: usize) -> Result<Arc<Queue<W>>, String> {
        let doing = (0..threads).map(|_| None).collect();
        let state = State { waiting: VecDeque::new(), promised: 0, doing, is_closed: false };
        let queue = Arc::new(Queue {
            state: Mutex::new(state),
            waiting: Condvar::new(),
            begun: Condvar::new(),
            waiting_max,
        });
        let start = |name: String, run: Run<W>| {
            let queue = queue.clone();
            let thread = std::thread::Builder::new().name(name).spawn(move || run(&queue));
            thread.map(drop).map_err(|error| format!("no thread for passwords: {error}"))
        };
        for number in 0..threads {
            let (to_run, given) = mpsc::sync_channel(1);
            let (to_finish, ran) = mpsc::sync_channel(1);
            start(format!("password-{number}"), Box::new(move |_| run(&given, &to_finish)))?;
            start(
                format!("password-{number}-in"),
                Box::new(move |queue| queue.serve(number, &to_run, &ran)),
            )?;
        }
        start("password-help".to_owned(), Box::new(Queue::help))?;
        Ok(queue)
    }

    /// A place for work that is to come: until it is used or dropped, nobody else has it.
    ///
    /// # Errors
    /// When as much waits as may.
    pub(super) fn place(self: &Arc<Self>) -> Result<Place<W>, Full> {
        let mut state = self.state.lock();
        if state.waiting.len() + state.promised >= self.waiting_max {
            // Whoever has gone makes room.
            state.waiting.retain(|work| !work.is_over());
        }
        if state.waiting.len() + state.promised >= self.waiting_max {
            return Err(Full);
        }
        state.promised += 1;
        Ok(Place(self.clone()))
    }

    /// Lets the threads come to their end.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.waiting.notify_all();
        self.begun.notify_all();
    }

    /// Gives out work to one of the threads behind all others, and hands out what it has come to.
    fn serve(&self, number: usize, to_run: &mpsc::SyncSender<Arc<W>>, ran: &mpsc::Receiver<Ran<W>>) {
        let mut state = self.state.lock();
        while !state.is_closed {
            let Some(work) = state.next() else {
                self.waiting.wait(&mut state);
                continue;
            };
            state.doing[number] = Some((work.clone(), Instant::now()));
            self.begun.notify_one();
            let is_done = parking_lot::MutexGuard::unlocked(&mut state, || {
                work.begin();
                let ran = to_run.send(work).ok().and_then(|()| ran.recv().ok());
                ran.map(|(work, done)| work.finish(done)).is_some()
            });
            if !is_done {
                tracing::error!("a thread for passwords has ended");
                return;
            }
            state.doing[number] = None;
        }
    }

    fn help(&self) {
        stand_back();
        let mut state = self.state.lock();
        loop {
            match state.help(Instant::now()) {
                Help::Do(work) => parking_lot::MutexGuard::unlocked(&mut state, || {
                    work.begin();
                    work.finish(work.run());
                }),
                Help::Wait(None) => self.begun.wait(&mut state),
                Help::Wait(Some(until)) => drop(self.begun.wait_until(&mut state, until)),
                Help::End => return,
            }
        }
    }
}

/// Computes behind all others, until there is nobody who gives out work.
fn run<W: Work>(given: &mpsc::Receiver<Arc<W>>, ran: &mpsc::SyncSender<Ran<W>>) {
    stand_behind_all();
    while let Ok(work) = given.recv() {
        let done = work.run();
        if ran.send((work, done)).is_err() {
            return;
        }
    }
}

/// A place for work in a queue.
pub(crate) struct Place<W: Work>(Arc<Queue<W>>);

impl<W: Work> Place<W> {
    /// Puts work there, behind what waits already.
    pub(super) fn take(self, work: Arc<W>) {
        self.0.state.lock().waiting.push_back(work);
        self.0.waiting.notify_one();
        self.0.begun.notify_one();
    }
}

impl<W: Work> Drop for Place<W> {
    fn drop(&mut self) {
        self.0.state.lock().promised -= 1;
    }
}

/// As much waits as may.
#[derive(Debug)]
pub(super) struct Full;

impl<W: Work> State<W> {
    /// The next that somebody waits for.
    fn next(&mut self) -> Option<Arc<W>> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|work| !work.is_over())
    }

    /// While every thread stalls: first what they should have done, then what waits.
    fn help(&mut self, now: Instant) -> Help<W> {
        if self.is_closed {
            return Help::End;
        }
        let mut until = None;
        let mut stalled = None;
        for doing in &self.doing {
            let Some((work, since)) = doing else { return Help::Wait(None) };
            match *since + STALLED {
                then if then > now => until = until.max(Some(then)),
                _ if !work.is_over() => stalled = stalled.or(Some(work.clone())),
                _ => {}
            }
        }
        if until.is_some() {
            return Help::Wait(until);
        }
        stalled.or_else(|| self.next()).map_or(Help::Wait(None), Help::Do)
    }
}

/// The kernel gives this thread what nobody else wants.
fn stand_behind_all() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id, thread_schedule_policy,
        };
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let set = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
        // In a process that stands back itself its second half is refused, which changes nothing of the first.
        if thread_schedule_policy().ok() != Some(idle) {
            tracing::debug!(?set, "the threads for passwords could not be put behind all others");
            stand_back();
        }
    }
}

/// Others get more of a processor than this thread.
fn stand_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "a thread for passwords could not be put behind others");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use parking_lot::{Condvar, Mutex};

    use super::{Help, Queue, STALLED, State, Work};

    #[derive(Default)]
    struct Task {
        is_over: AtomicBool,
        runs: AtomicUsize,
        /// Held: whoever runs it waits.
        gate: Mutex<()>,
        done: (Mutex<bool>, Condvar),
    }

    impl Work for Task {
        type Done = ();

        fn is_over(&self) -> bool {
            self.is_over.load(Ordering::Acquire)
        }

        fn begin(&self) {}

        fn run(&self) {
            self.runs.fetch_add(1, Ordering::AcqRel);
            drop(self.gate.lock());
        }

        fn finish(&self, (): ()) {
            self.is_over.store(true, Ordering::Release);
            *self.done.0.lock() = true;
            self.done.1.notify_all();
        }
    }

    impl Task {
        fn wait(&self) {
            let mut done = self.done.0.lock();
            while !*done {
                assert!(!self.done.1.wait_for(&mut done, Duration::from_secs(30)).timed_out(), "never done");
            }
        }
    }

    #[test]
    fn work_is_done_in_order_once_and_no_more_waits_than_may() {
        let queue = Queue::start(1, 2).unwrap();
        let tasks: Vec<Arc<Task>> = (0..4).map(|_| Arc::default()).collect();
        let gate = tasks[0].gate.lock();
        queue.place().unwrap().take(tasks[0].clone());
        while tasks[0].runs.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        queue.place().unwrap().take(tasks[1].clone());
        queue.place().unwrap().take(tasks[2].clone());
        assert!(queue.place().is_err());
        // Whoever goes makes room, and is not worked for.
        tasks[1].is_over.store(true, Ordering::Release);
        queue.place().unwrap().take(tasks[3].clone());
        drop(gate);
        tasks[3].wait();
        let runs: Vec<usize> = tasks.iter().map(|task| task.runs.load(Ordering::Acquire)).collect();
        assert_eq!(runs, [1, 0, 1, 1]);
        queue.close();
    }

    #[test]
    fn a_place_is_kept_for_whoever_was_given_it() {
        let queue = Queue::<Task>::start(1, 2).unwrap();
        let (first, second) = (queue.place().unwrap(), queue.place().unwrap());
        assert!(queue.place().is_err(), "nothing waits yet, and all places are given");
        drop(second);
        let second = queue.place().unwrap();
        let task = Arc::new(Task::default());
        first.take(task.clone());
        task.wait();
        assert!(queue.place().is_ok(), "what is done has given its place back");
        drop(second);
        queue.close();
    }

    #[test]
    fn what_stalls_is_done_by_another_thread_and_so_is_what_waits_behind_it() {
        let queue = Queue::start(1, 8).unwrap();
        let (stuck, next) = (Arc::new(Stuck::default()), Arc::new(Stuck::default()));
        let gate = stuck.first.lock();
        queue.place().unwrap().take(stuck.clone());
        stuck.task.wait();
        queue.place().unwrap().take(next.clone());
        next.task.wait();
        assert_eq!((stuck.runs.load(Ordering::Acquire), next.runs.load(Ordering::Acquire)), (2, 1));
        drop(gate);
        queue.close();
    }

    /// Whoever takes it first does not get on with it.
    #[derive(Default)]
    struct Stuck {
        runs: AtomicUsize,
        first: Mutex<()>,
        task: Task,
    }

    impl Work for Stuck {
        type Done = ();

        fn is_over(&self) -> bool {
            self.task.is_over()
        }

        fn begin(&self) {}

        fn run(&self) {
            if self.runs.fetch_add(1, Ordering::AcqRel) == 0 {
                drop(self.first.lock());
            }
            self.task.run();
        }

        fn finish(&self, (): ()) {
            self.task.finish(());
        }
    }

    #[test]
    fn nobody_helps_out_while_a_thread_gets_on() {
        let task = || Arc::new(Task::default());
        let now = Instant::now();
        let long_ago = now - STALLED;
        let state = |doing: Vec<Option<Instant>>| State {
            waiting: [task()].into(),
            promised: 0,
            doing: doing.into_iter().map(|since| since.map(|since| (task(), since))).collect(),
            is_closed: false,
        };
        assert!(matches!(state(vec![None]).help(now), Help::Wait(None)));
        assert!(matches!(state(vec![Some(now)]).help(now), Help::Wait(Some(then)) if then == now + STALLED));
        assert!(matches!(state(vec![Some(long_ago), Some(now)]).help(now), Help::Wait(Some(_))));
        assert!(matches!(state(vec![Some(long_ago), None]).help(now), Help::Wait(None)));
        assert!(matches!(state(vec![Some(long_ago), Some(long_ago)]).help(now), Help::Do(_)));
    }
}
