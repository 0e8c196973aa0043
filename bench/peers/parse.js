// Parse Server on a PostgreSQL: node parse.js URL PORT
const { ParseServer } = require("parse-server");
const express = require("express");
const [url, port] = process.argv.slice(2);
(async () => {
  const server = new ParseServer({
    databaseURI: `${url}?poolSize=16`, appId: "bench", masterKey: "bench-master", maintenanceKey: "bench-maintenance",
    serverURL: `http://127.0.0.1:${port}/parse`, verifyServerUrl: false, silent: true, logLevel: "error", logsFolder: null,
  });
  await server.start();
  const app = express();
  app.use("/parse", server.app);
  app.listen(port, "127.0.0.1");
})().catch((error) => { console.error(error); process.exit(1); });
