//! Transactions that stay open across many others, one step of one of them at a time, as a seeded dice says.
//!
//! Nothing waits for a clock: each step is answered before the next is thrown, so a seed is the same run on every machine. Rows that an
//! open transaction has written are left to it, as nobody else could go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_store::{StoreError, Tx};
use mainstay_testkit::dice::Dice;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Follower, count_up, log_of, script};
use crate::store::support::{On, TestStore};

/// How many rows there are, and how many transactions are open at a time, and in all.
const ROWS: i64 = 48;
const OPEN_MAX: usize = 24;
const ALL: usize = 300;
/// How many steps a transaction has at most.
const STEPS_MAX: usize = 6;
/// So many of those that are open have no further steps for as long as others are begun.
const SLOW_MAX: usize = OPEN_MAX / 3;

/// What an open transaction does next.
enum Step {
    /// Counts a row up, and tells its new value.
    Raise(i64, oneshot::Sender<i64>),
    /// Is kept.
    Keep,
    /// Is rolled back.
    Undo,
}

/// A transaction that is open.
struct Open {
    steps: mpsc::UnboundedSender<Step>,
    done: JoinHandle<Result<(), StoreError>>,
    /// What it has written: rows and their values.
    written: Vec<(i64, i64)>,
    left: usize,
    is_slow: bool,
}

impl Open {
    fn begin(test: &TestStore, dice: &mut Dice, is_slow: bool) -> Open {
        let (steps, todo) = mpsc::unbounded_channel();
        let todo = Arc::new(Mutex::new(todo));
        let log = log_of(On::Postgres);
        let done = test.spawn_alone(Box::new(move |tx| {
            let (todo, log) = (todo.clone(), log.clone());
            Box::pin(async move { work(tx, &mut *todo.lock().await, &log).await })
        }));
        Open { steps, done, written: Vec::new(), left: 1 + dice.below(STEPS_MAX), is_slow }
    }

    fn holds(&self, row: i64) -> bool {
        self.written.iter().any(|(held, _)| *held == row)
    }

    async fn raise(&mut self, row: i64) {
        let (value, told) = oneshot::channel();
        self.tell(Step::Raise(row, value));
        self.written.push((row, told.await.unwrap()));
        self.left -= 1;
    }

    fn tell(&self, step: Step) {
        assert!(self.steps.send(step).is_ok(), "the transaction has ended by itself");
    }
}

async fn work(
    tx: &mut Tx,
    todo: &mut mpsc::UnboundedReceiver<Step>,
    log: &Arc<mainstay_sql::statement::Statement>,
) -> Result<(), StoreError> {
    loop {
        match todo.recv().await {
            Some(Step::Raise(row, told)) => {
                let value = count_up(tx, On::Postgres, log, row, 0).await?;
                told.send(value).unwrap();
            }
            Some(Step::Keep) => return Ok(()),
            Some(Step::Undo) | None => return Err(StoreError::Other("undone".to_owned())),
        }
    }
}

/// Throws until all transactions have ended; how often the reader looked while some were open.
async fn play(seed: u64) -> usize {
    let mut dice = Dice::new(seed);
    let test = TestStore::with(On::Postgres, &[], |options| options.postgres.writers = OPEN_MAX + 1).await;
    test.store.execute_script(script(On::Postgres, ROWS)).await.unwrap();
    let mut follower = Follower::new(On::Postgres, &test).await;
    let (mut begun, mut looked, mut undone) = (0, 0, 0);
    let mut open: Vec<Open> = Vec::new();
    let (mut kept, mut seen): (BTreeMap<i64, Vec<i64>>, BTreeMap<i64, Vec<i64>>) = Default::default();
    while begun < ALL || !open.is_empty() {
        if begun < ALL && open.len() < OPEN_MAX && dice.one_in(2) {
            let slow = open.iter().filter(|open| open.is_slow).count();
            let is_slow = slow < SLOW_MAX && dice.one_in(6);
            open.push(Open::begin(&test, &mut dice, is_slow));
            begun += 1;
            continue;
        }
        if dice.one_in(9) {
            for (row, value) in follower.next(&test).await {
                seen.entry(row).or_default().push(value);
            }
            // All that was kept up to now, in whatever order it began: nothing waits for what is open still.
            assert_eq!(seen, kept, "seed {seed}, {begun} begun");
            looked += usize::from(!open.is_empty());
            continue;
        }
        let goes_on = |at: &usize| !open[*at].is_slow || begun == ALL;
        let may: Vec<usize> = (0..open.len()).filter(goes_on).collect();
        if may.is_empty() {
            continue;
        }
        let at = *dice.pick(&may);
        let row = i64::try_from(dice.below(usize::try_from(ROWS).unwrap())).unwrap();
        match open[at].left {
            0 => {
                let Open { steps, done, written, .. } = open.swap_remove(at);
                if dice.one_in(3) {
                    assert!(steps.send(Step::Undo).is_ok());
                    assert!(done.await.unwrap().is_err());
                    undone += 1;
                } else {
                    assert!(steps.send(Step::Keep).is_ok());
                    done.await.unwrap().unwrap();
                    written.into_iter().for_each(|(row, value)| kept.entry(row).or_default().push(value));
                }
            }
            _ if open.iter().any(|other| other.holds(row)) => {}
            _ => open[at].raise(row).await,
        }
    }
    for (row, value) in follower.next(&test).await {
        seen.entry(row).or_default().push(value);
    }
    assert_eq!(seen, kept, "seed {seed}");
    // A value that was undone was given again, so that each row counts up without a gap.
    for (row, values) in &seen {
        let counted = i64::try_from(values.len()).unwrap();
        assert_eq!(*values, (1..=counted).collect::<Vec<_>>(), "seed {seed}, row {row}");
    }
    assert!(undone > ALL / 6, "{undone} undone: too few to mean anything");
    test.store.close().await;
    looked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_every_commit_once_however_transactions_interleave() {
    for seed in [1, 2] {
        let looked = play(seed).await;
        assert!(looked > 50, "looked {looked} times while transactions were open: too few to mean anything");
    }
}
