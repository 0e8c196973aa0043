// What the clients of OpenFeature make of the server: one line of JSON for each word on standard input.

'use strict';

const { createRequire } = require('node:module');
const { createInterface } = require('node:readline');
const [url, token, modules] = process.argv.slice(2);
const from = createRequire(modules + '/package.json');
const { OpenFeature } = from('@openfeature/server-sdk');
const { OFREPProvider } = from('@openfeature/ofrep-provider');
const web = from('@openfeature/web-sdk');
const { OFREPWebProvider } = from('@openfeature/ofrep-web-provider');

const statuses = [];
const fetchImplementation = async (request) => {
  const response = await fetch(request);
  statuses.push(response.status);
  return response;
};

async function main() {
  await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: url, fetchImplementation }));
  await OpenFeature.setProviderAndWait('trusted', new OFREPProvider({ baseUrl: url, headers: [['Authorization', `Bearer ${token}`]] }));
  await OpenFeature.setProviderAndWait('refused', new OFREPProvider({ baseUrl: url, headers: [['Authorization', 'Bearer nonsense']] }));
  const provider = new OFREPWebProvider({ baseUrl: url, fetchImplementation, pollInterval: 0 });
  await web.OpenFeature.setContext({ targetingKey: 'ann' });
  await web.OpenFeature.setProviderAndWait(provider);
  const server = OpenFeature.getClient();
  const trusted = OpenFeature.getClient('trusted');
  const refused = OpenFeature.getClient('refused');
  const page = web.OpenFeature.getClient();
  const words = {
    flag: () => server.getBooleanDetails('new_checkout', false, { targetingKey: 'ann' }),
    flag_of: (tenant) => trusted.getBooleanDetails('new_checkout', false, { tenant }),
    text: () => server.getStringDetails('greeting', 'none'),
    hidden: () => server.getNumberDetails('alarm_level', -1),
    number: () => trusted.getNumberDetails('alarm_level', -1),
    object: () => trusted.getObjectDetails('theme', {}),
    missing: () => server.getBooleanDetails('new_chekout', true),
    mistaken: () => server.getStringDetails('new_checkout', 'none'),
    refused: () => refused.getBooleanDetails('new_checkout', true),
    page: async () => page.getBooleanDetails('new_checkout', false),
    page_text: async () => page.getStringDetails('greeting', 'none'),
    refresh: async () => {
      statuses.length = 0;
      await web.OpenFeature.setContext({ targetingKey: 'ann', at: Date.now() });
      return { statuses: [...statuses], ...page.getBooleanDetails('new_checkout', false) };
    },
  };
  console.log(JSON.stringify({ ready: true }));
  for await (const line of createInterface({ input: process.stdin })) {
    const [word, ...values] = line.split(' ');
    console.log(JSON.stringify(await words[word](...values)));
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
