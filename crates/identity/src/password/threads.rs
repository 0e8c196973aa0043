//! The threads that hashes are made on, and the queue before them.
//!
//! A hash cannot be interrupted, and a processor that makes one is not given up for whoever wakes beside it until the kernel's slice is
//! over: milliseconds, in which a read would have been answered ten times. So hashes are made by threads of the policy `SCHED_IDLE`,
//! which the kernel takes a processor from as soon as anybody else wants it. Of a machine that is busy throughout these get next to
//! nothing; a hash that is not done within [`STALLED`] is made once more by a thread that asks for a fair, small share, and whoever is done
//! first answers. So requests are delayed by hashes only where nothing else lets people in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long the threads behind all others may take for one hash before another one helps out.
const STALLED: Duration = Duration::from_secs(1);

/// How far that one stands back: it gets about a tenth of what requests get of a processor that both want.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// What is to be done once.
pub(super) trait Work: Send + Sync + 'static {
    /// Whether nobody waits for it, any more or by now.
    fn is_over(&self) -> bool;

    /// Does it. That it may be done twice is its own business.
    fn run(&self);
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
    /// What each thread does, and since when.
    doing: Vec<Option<(Arc<W>, Instant)>>,
    is_closed: bool,
}

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
        let state =
            State { waiting: VecDeque::new(), doing: (0..threads).map(|_| None).collect(), is_closed: false };
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
            start(format!("password-{number}"), Box::new(move |queue| queue.serve(number)))?;
        }
        start("password-help".to_owned(), Box::new(Queue::help))?;
        Ok(queue)
    }

    /// Whether there is room for more. Whoever asks later may find none.
    ///
    /// # Errors
    /// When as much waits as may.
    pub(super) fn has_room(&self) -> Result<(), Full> {
        self.room(&mut self.state.lock())
    }

    fn room(&self, state: &mut State<W>) -> Result<(), Full> {
        if state.waiting.len() >= self.waiting_max {
            // Whoever has gone makes room.
            state.waiting.retain(|work| !work.is_over());
        }
        if state.waiting.len() < self.waiting_max { Ok(()) } else { Err(Full) }
    }

    /// Puts work behind what waits.
    ///
    /// # Errors
    /// When as much waits as may.
    pub(super) fn push(&self, work: Arc<W>) -> Result<(), Full> {
        let mut state = self.state.lock();
        self.room(&mut state)?;
        state.waiting.push_back(work);
        self.waiting.notify_one();
        self.begun.notify_one();
        Ok(())
    }

    /// Lets the threads come to their end.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.waiting.notify_all();
        self.begun.notify_all();
    }

    fn serve(&self, number: usize) {
        stand_behind_all();
        let mut state = self.state.lock();
        while !state.is_closed {
            let Some(work) = state.next() else {
                self.waiting.wait(&mut state);
                continue;
            };
            state.doing[number] = Some((work.clone(), Instant::now()));
            self.begun.notify_one();
            parking_lot::MutexGuard::unlocked(&mut state, || work.run());
            state.doing[number] = None;
        }
    }

    fn help(&self) {
        stand_back();
        let mut state = self.state.lock();
        loop {
            match state.help(Instant::now()) {
                Help::Do(work) => parking_lot::MutexGuard::unlocked(&mut state, || work.run()),
                Help::Wait(None) => self.begun.wait(&mut state),
                Help::Wait(Some(until)) => drop(self.begun.wait_until(&mut state, until)),
                Help::End => return,
            }
        }
    }
}

/// As much waits as may.
#[derive(Debug, PartialEq, Eq)]
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

    use super::{Full, Help, Queue, STALLED, State, Work};

    #[derive(Default)]
    struct Task {
        is_over: AtomicBool,
        runs: AtomicUsize,
        /// Held: whoever runs it waits.
        gate: Mutex<()>,
        done: (Mutex<bool>, Condvar),
    }

    impl Work for Task {
        fn is_over(&self) -> bool {
            self.is_over.load(Ordering::Acquire)
        }

        fn run(&self) {
            self.runs.fetch_add(1, Ordering::AcqRel);
            drop(self.gate.lock());
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
        queue.push(tasks[0].clone()).unwrap();
        while tasks[0].runs.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        queue.push(tasks[1].clone()).unwrap();
        queue.push(tasks[2].clone()).unwrap();
        assert_eq!(queue.push(tasks[3].clone()), Err(Full));
        // Whoever goes makes room, and is not worked for.
        tasks[1].is_over.store(true, Ordering::Release);
        queue.push(tasks[3].clone()).unwrap();
        drop(gate);
        tasks[3].wait();
        let runs: Vec<usize> = tasks.iter().map(|task| task.runs.load(Ordering::Acquire)).collect();
        assert_eq!(runs, [1, 0, 1, 1]);
        queue.close();
    }

    #[test]
    fn what_stalls_is_done_by_another_thread_and_so_is_what_waits_behind_it() {
        let queue = Queue::start(1, 8).unwrap();
        let (stuck, next) = (Arc::new(Stuck::default()), Arc::new(Stuck::default()));
        let gate = stuck.first.lock();
        queue.push(stuck.clone()).unwrap();
        stuck.task.wait();
        queue.push(next.clone()).unwrap();
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
        fn is_over(&self) -> bool {
            self.task.is_over()
        }

        fn run(&self) {
            if self.runs.fetch_add(1, Ordering::AcqRel) == 0 {
                drop(self.first.lock());
            }
            self.task.run();
        }
    }

    #[test]
    fn nobody_helps_out_while_a_thread_gets_on() {
        let task = || Arc::new(Task::default());
        let now = Instant::now();
        let long_ago = now - STALLED;
        let state = |doing: Vec<Option<Instant>>| State {
            waiting: [task()].into(),
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
