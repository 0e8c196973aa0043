//! The task that finds out what rows that may have changed have become, for all held views together.
//!
//! One job after the other: what is noted while one runs is one job when it is done, so that rows that change often are read
//! less often than they change, and in the end as they are.

use mainstay_engine::ctx::Ctx;
use mainstay_engine::error::Error;
use mainstay_engine::{Among, Reading};
use mainstay_lang::schema::TableId;
use mainstay_lang::value::Value;
use tokio::sync::mpsc;

use super::job::{Candidates, Job};
use super::{CHUNK, KEYS_MAX, Reader, Tested, Work, at, deadline, nobody, now, too_large};
use crate::keys::{self, RowKeys};
use crate::registry::SubId;
use crate::trail::Start;

/// Tests rows that may have changed, one job after the other, until there are no more jobs.
pub(crate) async fn test(reader: Reader, mut jobs: mpsc::UnboundedReceiver<Job>) {
    while let Some(mut job) = jobs.recv().await {
        while let Ok(more) = jobs.try_recv() {
            job.merge(more);
        }
        reader.find(&mut job).await;
        reader.locate(&mut job).await;
        let is_to_do =
            |(_, of): &(SubId, Candidates)| of.all || !of.keys.is_empty() || !of.view.boundaries.is_empty();
        let subs: Vec<(SubId, Candidates)> = job.subs.into_iter().filter(is_to_do).collect();
        for chunk in subs.chunks(CHUNK) {
            reader.test(chunk).await;
        }
    }
}

impl Reader {
    /// Walks back to the rows that changes elsewhere may concern.
    async fn find(&self, job: &mut Job) {
        let reaches = std::mem::take(&mut job.reaches);
        let roots = std::mem::take(&mut job.roots);
        if reaches.is_empty() && roots.is_empty() {
            return;
        }
        let ctx = nobody();
        let schema = self.engine.schema();
        let found = self
            .persist(|| {
                let conditions = reaches.iter().map(|(reach, _)| reach).chain(&roots).map(|reach| {
                    let (condition, params) = reach.condition(schema);
                    (reach.table, condition, params)
                });
                let (conditions, ctx) = (conditions.collect(), at(&ctx, now()));
                async move { self.engine.keys_where(conditions, KEYS_MAX as u64 + 1, &ctx).await }
            })
            .await;
        // What cannot be found out may be anything.
        let mut found = found.ok().map(Vec::into_iter);
        for (reach, subs) in reaches {
            let keys = found.as_mut().and_then(Iterator::next);
            for sub in subs {
                let Some(candidates) = job.subs.get_mut(&sub) else { continue };
                match (&keys, reach.start) {
                    (Some(keys), Start::Row) => {
                        let keys = keys.iter();
                        candidates.keys.extend(keys.map(|key| (key.to_json().into(), key.clone())));
                    }
                    (Some(keys), Start::User) => {
                        let user = candidates.view.standing.ctx.caller.user.as_ref();
                        let is_among = user.is_some_and(|user| keys.contains(user));
                        candidates.all |= is_among || keys.len() > KEYS_MAX;
                    }
                    (None, _) => candidates.all = true,
                }
            }
        }
        for reach in roots {
            match found.as_mut().and_then(Iterator::next) {
                Some(keys) if keys.len() <= KEYS_MAX => keys.iter().for_each(|key| job.row(reach.table, key)),
                _ => self.located(reach.table, Vec::new(), None),
            }
        }
    }

    /// Reads the keys of rows that are to find those whom they may concern.
    async fn locate(&self, job: &mut Job) {
        for (table, rows) in std::mem::take(&mut job.rows) {
            let by = job.by.remove(&table).unwrap_or_default();
            let keys: Vec<Value> = rows.into_values().collect();
            for keys in keys.chunks(KEYS_MAX) {
                let read = self.persist(|| async {
                    let ctx = at(&nobody(), now());
                    let rows = self.engine.rows_of(table, keys::outputs(&by), keys, &ctx).await?;
                    let schema = self.engine.schema();
                    let keys = rows.into_iter().map(|row| {
                        let json = serde_json::from_str(&row.text).map_err(Error::internal)?;
                        keys::keys_of(schema, table, &by, row.key, &json)
                    });
                    keys.collect::<Result<Vec<_>, _>>()
                });
                let rows = read.await.ok();
                self.located(table, keys.to_vec(), rows);
            }
        }
    }

    fn located(&self, table: TableId, keys: Vec<Value>, rows: Option<Vec<RowKeys>>) {
        let is_flood = rows.is_none();
        let located = Work::Located { table, keys, rows: rows.unwrap_or_default(), is_flood };
        // Nobody is there to be told when the hub has ended.
        self.results.send(located).ok();
    }

    async fn test(&self, chunk: &[(SubId, Candidates)]) {
        match self.test_together(chunk).await {
            Ok(tested) => {
                for ((sub, candidates), tested) in chunk.iter().zip(tested) {
                    self.answer(*sub, candidates, tested).await;
                }
            }
            // One that fails must not take the others with it.
            Err(_) if chunk.len() > 1 => {
                for one in chunk {
                    Box::pin(self.test(std::slice::from_ref(one))).await;
                }
            }
            Err(error) => {
                let (sub, candidates) = &chunk[0];
                self.tell(*sub, candidates, Err(too_large(error)));
            }
        }
    }

    async fn test_together(&self, chunk: &[(SubId, Candidates)]) -> Result<Vec<Tested>, Error> {
        self.persist(|| async {
            let now = now();
            let keys: Vec<Option<Vec<Value>>> = chunk.iter().map(|(_, of)| of.named()).collect();
            let contexts: Vec<Ctx> = chunk.iter().map(|(_, of)| at(&of.view.standing.ctx, now)).collect();
            let readings: Vec<Reading<'_>> = chunk
                .iter()
                .zip(keys.iter().zip(&contexts))
                .map(|((_, of), (keys, ctx))| {
                    let among = match keys {
                        Some(keys) => Among::Keys(keys),
                        None => Among::All(self.limits.rows + 1),
                    };
                    Reading { ctx, watch: &of.view.watch, among }
                })
                .collect();
            let (position, rows) = self.engine.read_watched(&readings, deadline()).await?;
            let tested = keys.into_iter().zip(rows).map(|(keys, rows)| Tested {
                position: position.clone(),
                keys,
                rows,
                wake: Some(now),
            });
            Ok(tested.collect())
        })
        .await
    }

    /// Sends what was tested on its way; until now `wake` says when that was.
    async fn answer(&self, sub: SubId, candidates: &Candidates, mut tested: Tested) {
        let tested = match tested.wake.take() {
            _ if tested.rows.len() as u64 > self.limits.rows => Err(self.too_many_rows()),
            Some(then) => match self.persist(|| self.wake(&candidates.view, then)).await {
                Ok(wake) => Ok(Tested { wake, ..tested }),
                Err(error) => Err(error),
            },
            None => Ok(tested),
        };
        self.tell(sub, candidates, tested);
    }

    fn tell(&self, sub: SubId, candidates: &Candidates, tested: Result<Tested, Error>) {
        // Nobody is there to be told when the hub has ended.
        self.results.send(Work::Tested { sub, epoch: candidates.epoch, tested }).ok();
    }
}
