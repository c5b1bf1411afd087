// Numbers and states in the words that the page shows.

const PHASES = {
  loading: "Loading the model",
  text_encode: "Reading the prompt",
  image_encode: "Reading the picture",
  denoise: "Denoising",
  decode: "Decoding",
  encode: "Encoding",
};

export const ENDED = new Set(["completed", "failed", "cancelled"]);

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

// What a task is doing now, in one line.
export function state(task) {
  if (task.status === "queued") {
    const place = task.queue_position;
    return place > 1 ? `Waiting, number ${place} in the queue` : "Waiting, next in the queue";
  }
  if (task.status === "running") return running(task);
  if (task.status === "completed") return `Done in ${duration(task.timings.total_s) || "no time"}`;
  return task.status === "failed" ? "Failed" : "Cancelled";
}

function running(task) {
  if (task.cancel_requested) return "Cancelling";
  const parts = [PHASES[task.phase] ?? "Starting"];
  if (task.phase === "denoise" && task.total_steps) parts.push(`step ${task.step ?? 0} of ${task.total_steps}`);
  if (task.eta_s) parts.push(`about ${duration(task.eta_s)} left`);
  return parts.join(", ");
}

// What was asked for, in one line.
export function asked(task) {
  const request = task.request;
  const parts = [task.model_type, `${request.width}×${request.height}`];
  if (request.num_frames > 1) parts.push(`${request.num_frames} frames`, `${request.fps} fps`);
  parts.push(`${request.steps} ${request.steps === 1 ? "step" : "steps"}`, `seed ${request.seed}`);
  if (task.plan.variant === "demo") parts.push("demo weights");
  return parts.map((part) => part.replaceAll(" ", "\u00a0")).join(" · ");
}

// Why the task has the weights that it has, as its plan says it.
export function whyWeights(task) {
  return task.plan.choices.find((choice) => choice.what === "variant")?.why ?? "";
}
