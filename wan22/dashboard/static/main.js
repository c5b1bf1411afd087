// Puts the page together: the form makes tasks, the list shows them, the event stream keeps them current.

import * as api from "./api.js";
import { Card } from "./card.js";
import { byId, say } from "./dom.js";
import { Form } from "./form.js";
import { Live } from "./live.js";
import { ENDED } from "./words.js";

const POLL_MS = 3000;
const ENDINGS = { "task.completed": "is done", "task.failed": "failed", "task.cancelled": "was cancelled" };
const CONNECTION = { connecting: "connecting", live: "live", polling: "live updates are off, looking every 3 s", lost: "no connection, trying again" };

const cards = new Map();
const early = new Map(); // previews of tasks that are not in the list yet
const deleted = new Set(); // an answer that was under way may still have them
const list = byId("list");
let older; // the cursor of the next page; null once the last one is shown
let weights = {}; // by model: which ones it runs with, and why

function show(task) {
  const known = cards.get(task.task_id);
  if (deleted.has(task.task_id)) return;
  if (known) {
    if (!ENDED.has(known.task.status) || ENDED.has(task.status)) known.update(task);
    return;
  }
  const card = new Card(task, act);
  cards.set(task.task_id, card);
  const ids = [...cards.keys()].sort().reverse(); // ids sort by time
  const next = cards.get(ids[ids.indexOf(task.task_id) + 1]);
  list.insertBefore(card.element, next?.element ?? null);
  if (early.has(task.task_id)) card.preview(early.get(task.task_id));
  early.clear();
  tell();
}

function drop(id) {
  const card = cards.get(id);
  if (!card) return;
  const hadFocus = card.element.contains(document.activeElement);
  card.element.remove();
  cards.delete(id);
  if (hadFocus) byId("tasks").focus();
  tell();
}

// What the list says as a whole.
function tell() {
  byId("empty").hidden = cards.size > 0;
  byId("older").hidden = !older;
}

// What the next video is made with: the demo weights know little, and people must know it before they write a prompt.
function tellWeights() {
  const chosen = byId("model_type").value;
  const demo = Object.keys(weights).filter((model) => weights[model].variant === "demo");
  const told = chosen ? demo.filter((model) => model === chosen) : demo;
  byId("demo-note").hidden = told.length === 0;
  if (told.length === 0) return;
  const whose = told.length === Object.keys(weights).length ? "all models" : told.join(" and ");
  say(byId("demo-note"), `Demo weights for ${whose}. ${weights[told[0]].why}`);
}

async function lookAtWeights() {
  weights = (await api.models()).facts;
  tellWeights();
}

async function refresh() {
  const page = await api.list();
  if (older === undefined) older = page.next_cursor;
  const oldest = page.tasks.at(-1)?.task_id ?? "";
  const there = new Set(page.tasks.map((task) => task.task_id));
  for (const id of [...cards.keys()]) {
    if (!there.has(id) && (id > oldest || !page.next_cursor)) drop(id); // deleted elsewhere
  }
  page.tasks.forEach(show);
  tell();
}

let soon = null;

function refreshSoon() {
  soon ??= setTimeout(() => {
    soon = null;
    refresh().catch(() => {});
  }, 500);
}

async function reload(id) {
  try {
    show(await api.get(id));
  } catch (problem) {
    if (problem.status === 404) drop(id);
  }
}

const verbs = {
  cancel: async (task) => show(await api.cancel(task.task_id)),
  retry: async (task) => show(await api.retry(task.task_id)),
  reuse: async (task) => {
    form.fill(task.request);
    tellWeights();
  },
  delete: async (task) => {
    await api.remove(task.task_id);
    deleted.add(task.task_id);
    drop(task.task_id);
  },
};

function act(verb, task) {
  return verbs[verb](task);
}

function hear(event) {
  const card = cards.get(event.task_id);
  if (event.type in ENDINGS) {
    if (card) say(byId("news"), `"${card.task.request.prompt}" ${ENDINGS[event.type]}.`);
    reload(event.task_id);
    refreshSoon(); // those behind it have moved up
  } else if (event.type === "task.preview") preview(event, card);
  else if (event.type === "task.progress" && card) show({ ...card.task, ...event.data });
  else if (event.type?.startsWith("task.")) reload(event.task_id);
}

function preview(event, card) {
  if (card) card.preview(event.data);
  else early.set(event.task_id, event.data);
}

const connection = byId("connection");

function stand(state) {
  connection.dataset.state = state;
  say(connection, CONNECTION[state]);
  if (state !== "live") return;
  refresh().catch(() => {});
  lookAtWeights().catch(() => {});
}

// Without the stream the list is asked for now and then; that too tells whether the server is there.
setInterval(async () => {
  if (connection.dataset.state === "live") return;
  try {
    await refresh();
    if (connection.dataset.state !== "live") stand("polling");
  } catch {
    if (connection.dataset.state !== "live") stand("lost");
  }
}, POLL_MS);

byId("older").onclick = async () => {
  const page = await api.list(older);
  older = page.next_cursor;
  page.tasks.forEach(show);
  tell();
};

byId("model_type").addEventListener("change", tellWeights);

const form = new Form((task) => {
  show(task);
  cards.get(task.task_id).element.scrollIntoView({ block: "nearest" });
});
new Live({ onEvent: hear, onState: stand }).connect();
