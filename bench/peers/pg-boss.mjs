// pg-boss doing as many jobs as there are, and saying how many a second: node pg-boss.mjs URL COUNT
import { PgBoss } from "pg-boss";
const [url, words] = process.argv.slice(2);
const count = Number(words);
const boss = new PgBoss({ connectionString: url, max: 10, supervise: false, schedule: false });
boss.on("error", (error) => { console.error(error); process.exit(1); });
await boss.start();
await boss.createQueue("nothing");
for (let at = 0; at < count; at += 1000)
  await boss.insert("nothing", Array.from({ length: Math.min(1000, count - at) }, (_, n) => ({ data: { n: at + n } })));
let done = 0;
const begun = process.hrtime.bigint();
await new Promise((resolve) =>
  boss.work("nothing", { batchSize: 500, localConcurrency: 4, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }, async (jobs) => {
    done += jobs.length;
    if (done >= count) resolve();
  }));
const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
console.log(JSON.stringify({ worked_per_s: Math.round(count / seconds) }));
process.exit(0);
