// The form: reads the fields, puts problems beside them, takes pictures by choosing, dropping or pasting.

import { submit } from "./api.js";
import { byId, make, say } from "./dom.js";

const NUMBERS = new Set(["num_frames", "steps", "seed", "fps", "num_videos", "guidance_scale", "guidance_scale_2", "flow_shift", "strength"]);
const SHOWN_AT = { width: "resolution", height: "resolution" };

export class Form {
  constructor(onSubmitted) {
    this.form = byId("form");
    this.button = byId("submit");
    this.onSubmitted = onSubmitted;
    this.drops = Object.fromEntries([...this.form.querySelectorAll(".drop")].map((box) => [box.dataset.for, new Drop(box)]));
    this.form.onsubmit = (event) => {
      event.preventDefault();
      this.send();
    };
    this.form.onkeydown = (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    };
    this.form.oninput = (event) => this.clear(event.target);
    document.onpaste = (event) => this.drops.image.take(event.clipboardData?.files);
  }

  async send() {
    if (this.button.disabled) return;
    this.clearAll();
    this.button.disabled = true;
    try {
      const files = this.files();
      this.onSubmitted(await submit(this.fields(), files));
    } catch (problem) {
      this.show(problem);
    }
    this.button.disabled = false;
  }

  // What was filled in. A number that is none goes as it is: the server says what is wrong with it.
  fields() {
    const found = {};
    for (const input of this.inputs()) {
      const text = input.value.trim();
      if (!text) continue;
      const number = Number(text.replace(",", "."));
      found[input.name] = NUMBERS.has(input.name) && Number.isFinite(number) ? number : text;
    }
    return found;
  }

  files() {
    const chosen = Object.entries(this.drops).map(([name, drop]) => [name, drop.file]);
    return Object.fromEntries(chosen.filter(([, file]) => file));
  }

  fill(request) {
    this.clearAll();
    const known = { ...request, resolution: `${request.width}x${request.height}`, mode: request.mode === "image" ? "image" : "" };
    for (const input of this.inputs()) {
      const value = known[input.name];
      input.value = value === null || value === undefined ? "" : String(value);
    }
    this.form.scrollIntoView({ block: "start" });
    byId("prompt").focus();
  }

  inputs() {
    return [...this.form.elements].filter((input) => input.name && input.type !== "file");
  }

  show(problem) {
    const elsewhere = [];
    let first = null;
    for (const error of problem.errors) {
      const input = this.form.elements[SHOWN_AT[error.field] ?? error.field];
      if (!input) elsewhere.push(`${error.field}: ${error.message}`);
      else if (!input.hasAttribute("aria-invalid")) {
        mark(input, error.message);
        first ??= input;
      }
    }
    const text = elsewhere.length ? elsewhere.join("; ") : problem.errors.length ? "" : problem.message;
    this.showText([text, problem.hint].filter(Boolean).join(" "));
    first?.closest("details")?.setAttribute("open", "");
    (first ?? this.button).focus();
  }

  showText(text) {
    const box = byId("form-error");
    say(box, text);
    box.hidden = !text;
  }

  clearAll() {
    this.showText("");
    for (const input of this.form.elements) this.clear(input);
  }

  clear(input) {
    if (!input.hasAttribute?.("aria-invalid")) return;
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
    byId(`${input.id}-error`)?.remove();
  }
}

function mark(input, message) {
  const id = `${input.id}-error`;
  const sentence = `${message.charAt(0).toUpperCase()}${message.slice(1).replace(/\.$/, "")}.`;
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", id);
  input.closest(".field").append(make("p", { id, className: "field-error", textContent: sentence }));
}

class Drop {
  constructor(box) {
    this.input = box.querySelector("input");
    this.help = box.querySelector("p");
    this.image = box.querySelector("img");
    this.remove = box.querySelector("button");
    this.input.onchange = () => this.take(this.input.files);
    this.remove.onclick = () => {
      this.put(null);
      this.input.focus();
    };
    box.ondragover = (event) => {
      event.preventDefault();
      box.classList.add("over");
    };
    box.ondragleave = () => box.classList.remove("over");
    box.ondrop = (event) => {
      event.preventDefault();
      box.classList.remove("over");
      this.take(event.dataTransfer.files);
    };
    this.file = null;
  }

  take(files) {
    const picture = [...(files ?? [])].find((file) => file.type.startsWith("image/"));
    if (picture) this.put(picture);
  }

  put(file) {
    if (this.image.src) URL.revokeObjectURL(this.image.src);
    this.file = file;
    this.image.hidden = this.remove.hidden = !file;
    this.input.hidden = this.help.hidden = Boolean(file);
    if (file) this.image.src = URL.createObjectURL(file);
    else this.image.removeAttribute("src");
    this.input.value = "";
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
