// Alerts as they come, change and go, over one socket that also takes the requests of this page.
//
// What is shown is what the server says may be seen: there is no filter here. After a break the page goes on from the
// place that it was told last, and misses nothing.

"use strict";

const ALERTS = { Alert: { get: ["title", "severity", "created"], sender: { get: ["name"] } } };

const alerts = new Map();
const waiting = new Map();
let socket, place = null, next = 10, pause = 250;

const $ = selector => document.querySelector(selector);
const token = () => sessionStorage.getItem("token");

/** Says a frame; the answer under its id comes back. */
function ask(frame) {
  const id = next++;
  socket.send(JSON.stringify({ id, ...frame }));
  return new Promise(answer => waiting.set(id, answer));
}

const query = body => ask({ request: { method: "POST", path: "/query", body } });

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.onopen = async () => {
    const signed = await ask({ auth: token() });
    if (signed.status !== 200) return signOut(signed.body.detail);
    pause = 250;
    listen();
    fillTeams();
  };
  socket.onmessage = message => hear(JSON.parse(message.data));
  socket.onclose = event => {
    waiting.clear();
    if (event.code === 4401) return signOut(event.reason);
    state("connecting again …");
    setTimeout(connect, pause = Math.min(pause * 2, 5000));
  };
}

function listen() {
  socket.send(JSON.stringify({ id: 1, subscribe: ALERTS, since: place }));
}

function hear(frame) {
  if (frame.id !== 1) {
    waiting.get(frame.id)?.(frame);
    waiting.delete(frame.id);
    return;
  }
  if (frame.lagged) {
    place = frame.since;
    return listen();
  }
  if (frame.status) {
    // What is kept no longer reaches back: begin with all rows.
    if (frame.status === 410) { place = null; return listen(); }
    return state(frame.body.detail);
  }
  if (frame.rows) {
    alerts.clear();
    for (const row of frame.rows) alerts.set(row.id, row);
  }
  if (frame.change === "leave") alerts.delete(frame.row.id);
  else if (frame.change) alerts.set(frame.row.id, frame.row);
  place = frame.ready ?? frame.seq;
  show();
}

function show() {
  const rows = [...alerts.values()].sort((a, b) => b.created.localeCompare(a.created));
  $("#alerts").replaceChildren(...rows.map(row => {
    const item = document.createElement("li");
    item.className = row.severity;
    item.dataset.id = row.id;
    const from = document.createElement("small");
    from.textContent = ` ${row.sender?.name ?? ""}, ${new Date(row.created).toLocaleTimeString()}`;
    item.append(row.title, from);
    return item;
  }));
  state(`live: ${rows.length} alerts`);
}

async function fillTeams() {
  const teams = await query({ Team: { get: ["name"] } });
  $("#send").receiver.replaceChildren(...(teams.body.Team ?? []).map(team => new Option(team.name, team.id)));
  $("#send").hidden = false;
}

$("#send").onsubmit = async event => {
  event.preventDefault();
  const form = event.target;
  // The subject of the token is the user; its team sends.
  const user = JSON.parse(atob(token().split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).sub;
  const me = await query({ User: { id: user, get: ["team"] } });
  const answer = await query({ Alert: {
    create: true,
    title: form.title.value,
    severity: form.severity.value,
    sender: me.body.User[0].team,
    receivers: { id: form.receiver.value },
    assignee: user,
  } });
  form.querySelector(".problem").textContent = answer.status === 200 ? "" : answer.body.detail || answer.body.title;
  if (answer.status === 200) form.title.value = "";
};

$("#sign-in").onsubmit = event => {
  event.preventDefault();
  sessionStorage.setItem("token", event.target.token.value.trim());
  start();
};

function start() {
  $("#sign-in").hidden = true;
  state("connecting …");
  connect();
}

function signOut(why) {
  sessionStorage.removeItem("token");
  place = null;
  alerts.clear();
  show();
  $("#send").hidden = true;
  $("#sign-in").hidden = false;
  state(why);
}

function state(words) {
  $("#state").textContent = words;
}

if (token()) start();
