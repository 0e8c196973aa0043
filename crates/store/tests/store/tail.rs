//! Whoever follows the change log sees every change that was kept once, those of one row in their order, and no other.

mod dice;

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_lang::schema::Schema;
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::statement::Statement;
use mainstay_sql::{POSTGRES, SQLITE, system};
use mainstay_store::{Outcome, Query, StoreError, Tx, WriteJob};

use super::support::{On, TestStore, change, each_database, ints, soon, wide};

const ROWS: i64 = 12;

/// Follows the log, a few lines at a time.
struct Follower {
    position: Arc<Statement>,
    tail: Arc<Statement>,
    tail_next: Arc<Statement>,
    from: Value,
}

impl Follower {
    async fn new(on: On, test: &TestStore) -> Follower {
        let dialect = on.pick(SQLITE, POSTGRES);
        let schema = Schema::default();
        let mut follower = Follower {
            position: Arc::new(system::change_position(&schema, dialect)),
            tail: Arc::new(system::change_tail(&schema, dialect)),
            tail_next: Arc::new(system::change_tail_next(&schema, dialect)),
            from: Value::Null,
        };
        let query = Query { statement: follower.position.clone(), values: vec![] };
        follower.from = values(&test.store.read(vec![query], wide()).await.unwrap()[0])[0][0].clone();
        follower
    }

    /// What has come since the last time: row and value of each line.
    async fn next(&mut self, test: &TestStore) -> Vec<(i64, i64)> {
        const PAGE: i64 = 7;
        let mut lines = Vec::new();
        let mut behind = 0;
        let mut to = Value::Null;
        loop {
            let mut limits = vec![self.from.clone(), to.clone()];
            let mut tail = &self.tail;
            if behind > 0 {
                limits.push(Value::Int(behind));
                tail = &self.tail_next;
            }
            limits.push(Value::Int(PAGE));
            let batch = vec![
                Query { statement: self.position.clone(), values: vec![] },
                Query { statement: tail.clone(), values: limits },
            ];
            let outcomes = test.store.read(batch, wide()).await.unwrap();
            if to == Value::Null {
                to = values(&outcomes[0])[0][0].clone();
            }
            let page = values(&outcomes[1]);
            for line in page {
                let (Value::Int(seq), Value::Text(row), Value::Json(after)) = (&line[0], &line[4], &line[7])
                else {
                    panic!("{line:?}")
                };
                behind = *seq;
                lines.push((row.parse().unwrap(), after.parse().unwrap()));
            }
            if (page.len() as i64) < PAGE {
                self.from = to;
                return lines;
            }
        }
    }
}

fn values(outcome: &Outcome) -> &[Vec<Value>] {
    let Outcome::Values(rows) = outcome else { panic!("no values: {outcome:?}") };
    rows
}

/// The log, and rows that are counted up.
fn script(on: On, rows: i64) -> Vec<String> {
    let mut script = system::create(&Schema::default(), on.pick(SQLITE, POSTGRES));
    script.push("CREATE TABLE counter (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)".to_owned());
    script.extend((0..rows).map(|id| format!("INSERT INTO counter VALUES ({id}, 0)")));
    script
}

fn log_of(on: On) -> Arc<Statement> {
    Arc::new(system::change_insert(&Schema::default(), on.pick(SQLITE, POSTGRES), system::Count::One))
}

/// Counts a row up and logs it; its new value.
async fn count_up(
    tx: &mut Tx,
    on: On,
    log: &Arc<Statement>,
    row: i64,
    transaction: i64,
) -> Result<i64, StoreError> {
    let row = Value::Int(row);
    let raised = ints("UPDATE counter SET n = n + 1 WHERE id = $1 RETURNING n", vec![row.clone()]);
    let Value::Int(value) = values(&tx.query(&raised).await?)[0][0] else { panic!("no int") };
    let text = |text: &str| Value::Text(text.to_owned());
    let mut values = vec![Value::Timestamp(Timestamp(0)), Value::Null, Value::Null];
    values.extend([text("counter"), text(&row.to_json()), text("update")]);
    values.extend([Value::Null, Value::Json(value.to_string())]);
    if on == On::Sqlite {
        values.insert(0, Value::Int(transaction));
    }
    tx.query(&Query { statement: log.clone(), values }).await?;
    Ok(value)
}

/// Raises some rows and logs it, slowly; every third is undone at its end.
fn raise(on: On, number: i64) -> WriteJob<(), StoreError> {
    let log = log_of(on);
    Box::new(move |tx| {
        let log = log.clone();
        Box::pin(async move {
            for step in 0..1 + number % 3 {
                count_up(tx, on, &log, (number * 5 + step * 4) % ROWS, number).await?;
                if on == On::Postgres {
                    // Others overtake it: they are committed first, with larger numbers.
                    let ms = (number * 7 + step) % 11;
                    tx.query(&change(&format!("SELECT pg_sleep({ms} / 1000.0)"), vec![])).await?;
                }
            }
            if number % 3 == 0 { Err(StoreError::Other("undone".to_owned())) } else { Ok(()) }
        })
    })
}

async fn a_follower_sees_what_was_kept_once_and_in_order(on: On) {
    let test = TestStore::new(on, &[]).await;
    test.store.execute_script(script(on, ROWS)).await.unwrap();
    let mut follower = Follower::new(on, &test).await;

    let writing: Vec<_> = (0..12)
        .map(|task| {
            let store = test.store.clone();
            tokio::spawn(async move {
                let mut kept = 0;
                for round in 0..40 {
                    let number = round * 12 + task;
                    kept += u64::from(store.write(soon(), raise(on, number)).await.is_ok());
                }
                kept
            })
        })
        .collect();
    let mut seen: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let mut rounds = 0;
    while writing.iter().any(|task| !task.is_finished()) {
        for (row, value) in follower.next(&test).await {
            seen.entry(row).or_default().push(value);
        }
        rounds += 1;
    }
    let mut kept = 0;
    for task in writing {
        kept += task.await.unwrap();
    }
    for (row, value) in follower.next(&test).await {
        seen.entry(row).or_default().push(value);
    }
    assert!(kept > 200 && rounds > 10, "{kept} kept, looked at in {rounds} rounds: too few to mean anything");
    // A value that was undone was given again to the next one that was kept, so each row counts up without a gap.
    for row in 0..ROWS {
        let last = test.read_ints(&format!("SELECT n FROM counter WHERE id = {row}")).await[0];
        assert_eq!(seen.remove(&row).unwrap_or_default(), (1..=last).collect::<Vec<_>>(), "row {row}");
    }
    assert!(follower.next(&test).await.is_empty());
}

each_database!(a_follower_sees_what_was_kept_once_and_in_order,);
