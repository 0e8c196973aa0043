// graphile-worker doing as many jobs as there are, and saying how many a second: node graphile-worker.js URL COUNT MODE
const { makeWorkerUtils, runOnce } = require("graphile-worker");
const [url, count, mode] = process.argv.slice(2);
(async () => {
  const utils = await makeWorkerUtils({ connectionString: url });
  await utils.migrate();
  await utils.withPgClient(async (client) => {
    for (let at = 0; at < count; at += 1000)
      await client.query("select graphile_worker.add_jobs(array(select json_populate_record(null::graphile_worker.job_spec, json_build_object('identifier', 'nothing', 'payload', json_build_object('n', n))) from generate_series($1::int, $2::int) n))", [at, Math.min(at + 999, count - 1)]);
  });
  const worker = mode === "batched"
    ? { concurrentJobs: 24, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0, maxPoolSize: 10 }
    : { concurrentJobs: 24, maxPoolSize: 25 };
  const begun = process.hrtime.bigint();
  await runOnce({ connectionString: url, taskList: { nothing() {} }, preset: { worker }, logger: undefined });
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
  await utils.release();
  console.log(JSON.stringify({ worked_per_s: Math.round(count / seconds) }));
})().catch((error) => { console.error(error); process.exit(1); });
