// One task in the list: what was asked, how far it is, what came of it, and its buttons.

import { make, say } from "./dom.js";
import { ENDED, asked, duration, size, state, whyWeights } from "./words.js";

const STILLS = new Set(["gif", "png", "webp"]);

export class Card {
  // `act(verb, task)` does what a button says and gives a promise.
  constructor(task, act) {
    this.act = act;
    this.task = task;
    this.staged = "";
    this.offered = "";
    this.stage = make("div", { className: "stage" });
    this.title = make("h3", { className: "prompt" });
    this.asked = make("p", { className: "asked" });
    this.state = make("p", { className: "state" });
    this.bar = make("progress", { max: 1, "aria-label": "Progress" });
    this.problem = make("div", { className: "problem" });
    this.buttons = make("div", { className: "buttons" });
    const text = make("div", { className: "text" }, this.title, this.asked, this.state, this.bar, this.problem, this.buttons);
    this.element = make("li", { className: "card" }, this.stage, text);
    this.element.dataset.taskId = task.task_id;
    this.update(task);
  }

  update(task) {
    this.task = task;
    this.element.dataset.status = task.status;
    say(this.title, task.request.prompt || "(no prompt)");
    this.title.title = task.request.prompt;
    say(this.asked, asked(task));
    this.asked.title = whyWeights(task);
    say(this.state, state(task));
    this.bar.hidden = ENDED.has(task.status);
    if (task.status === "running") this.bar.value = task.progress;
    else this.bar.removeAttribute("value");
    this.showProblem(task.error);
    // A video that plays, a preview and a button with the focus must not be made anew.
    const stage = ENDED.has(task.status) ? `ended ${task.outputs.length}` : "waiting";
    if (stage !== this.staged) this.showStage(task);
    this.staged = stage;
    const offer = `${task.status} ${task.cancel_requested}`;
    if (offer !== this.offered) this.showButtons(task);
    this.offered = offer;
  }

  preview(data) {
    if (ENDED.has(this.task.status)) return;
    if (!this.picture) {
      this.picture = make("img", { className: "preview", alt: "How it looks so far" });
      this.fillStage([this.picture]);
    }
    this.picture.src = `data:${data.mime};base64,${data.image}`;
  }

  showStage(task) {
    this.picture = null;
    this.stage.hidden = ENDED.has(task.status) && task.outputs.length === 0;
    if (task.outputs.length) this.fillStage(task.outputs.map((output) => shown(output, task.request.prompt)));
    else this.fillStage([make("span", { className: "blank", "aria-hidden": "true" })]);
  }

  fillStage(children) {
    for (const child of children) child.style.aspectRatio = `${this.task.request.width} / ${this.task.request.height}`;
    this.stage.dataset.count = String(children.length);
    this.stage.replaceChildren(...children);
  }

  showProblem(error) {
    this.problem.hidden = !error;
    if (!error) return;
    this.problem.replaceChildren(make("p", { textContent: error.detail }), make("p", { className: "hint", textContent: error.hint }));
  }

  showButtons(task) {
    const parts = [];
    for (const output of task.outputs) parts.push(download(output, task.outputs.length));
    if (!ENDED.has(task.status) && !task.cancel_requested) parts.push(this.button("cancel", "Cancel"));
    if (task.status === "failed" || task.status === "cancelled") parts.push(this.button("retry", "Try again"));
    parts.push(this.button("reuse", "Use settings"));
    if (ENDED.has(task.status)) parts.push(this.deleteButton());
    this.buttons.replaceChildren(...parts);
  }

  button(verb, words) {
    const made = make("button", { type: "button", className: "quiet", textContent: words });
    made.dataset.verb = verb;
    made.onclick = () => this.run(verb, made);
    return made;
  }

  // Deleting can't be undone, so the first press only asks.
  deleteButton() {
    const made = this.button("delete", "Delete");
    made.onclick = () => {
      if (made.classList.contains("sure")) {
        this.run("delete", made);
        return;
      }
      made.classList.add("sure");
      made.textContent = "Really delete?";
      setTimeout(() => {
        made.classList.remove("sure");
        made.textContent = "Delete";
      }, 4000);
    };
    return made;
  }

  async run(verb, button) {
    button.disabled = true;
    try {
      await this.act(verb, this.task);
    } catch (problem) {
      this.showProblem({ detail: problem.message, hint: problem.hint ?? "" });
    }
    button.disabled = false;
  }
}

function shown(output, prompt) {
  if (STILLS.has(output.format)) return make("img", { src: output.url, alt: prompt, loading: "lazy" });
  return make("video", {
    src: output.url, poster: output.thumbnail_url, controls: true, loop: true, muted: true, playsInline: true,
    preload: "none", // twenty videos that load at once would keep the calls of the page waiting
    "aria-label": `Video: ${prompt}`,
  });
}

function download(output, count) {
  const number = count > 1 ? ` ${output.index + 1}` : "";
  const title = `${output.width}×${output.height}, ${duration(output.duration_s)}, ${size(output.size_bytes)}`;
  return make("a", { className: "button", href: output.url, download: "", title, textContent: `Save ${output.format}${number}` });
}
