// Calls to the public API. Everything that can go wrong becomes a Problem with a sentence and a hint.

const TASKS = "/api/v1/generation";

export class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || `The server answered ${status}.`);
    this.hint = body.hint || "";
    this.errors = Array.isArray(body.errors) ? body.errors : [];
    this.status = status;
  }
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { headers: { Accept: "application/json" }, ...options });
  } catch {
    throw new Problem({ detail: "The server can't be reached.", hint: "See whether it still runs: wan22 serve." }, 0);
  }
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(body, response.status);
  return body;
}

export const list = (cursor) => call(cursor ? `${TASKS}?limit=20&cursor=${encodeURIComponent(cursor)}` : `${TASKS}?limit=20`);
export const get = (id) => call(`${TASKS}/${id}`);
export const cancel = (id) => call(`${TASKS}/${id}/cancel`, { method: "POST" });
export const retry = (id) => call(`${TASKS}/${id}/retry`, { method: "POST" });
export const remove = (id) => call(`${TASKS}/${id}`, { method: "DELETE" });

// Which weights each model runs with. An unhealthy server says it too, with 503.
export async function models() {
  const response = await fetch("/v2/health");
  return (await response.json()).components.models;
}

// `fields` are those of the submit body; `files` are pictures by field.
export function submit(fields, files) {
  const path = fields.model_type ? `${TASKS}/submit` : `${TASKS}/enhanced/submit`; // which chooses the model
  if (Object.keys(files).length === 0) {
    const headers = { Accept: "application/json", "Content-Type": "application/json" };
    return call(path, { method: "POST", headers, body: JSON.stringify(fields) });
  }
  const form = new FormData();
  for (const [name, value] of Object.entries({ ...fields, ...files })) form.append(name, value);
  return call(path, { method: "POST", body: form });
}
