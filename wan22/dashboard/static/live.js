// The event stream over a WebSocket: connects again by itself, goes on after the last event it has seen, and says
// how it stands: "connecting", "live", or "lost".

const PAUSES_MS = [300, 1000, 2000, 5000];
const PING_MS = 20000;
const SILENCE_MS = 50000;

export class Live {
  constructor({ onEvent, onState }) {
    this.onEvent = onEvent;
    this.onState = onState;
    this.lastId = null;
    this.failures = 0;
    this.heardAt = 0;
    setInterval(() => this.watch(), PING_MS);
    document.addEventListener("visibilitychange", () => this.hurry());
    window.addEventListener("online", () => this.hurry());
  }

  connect() {
    clearTimeout(this.timer);
    this.timer = null;
    const url = new URL("/api/v1/ws", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    if (this.lastId !== null) url.searchParams.set("after", this.lastId);
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () => {
      this.failures = 0;
      this.heardAt = Date.now();
      this.onState("live");
    };
    socket.onmessage = (message) => this.hear(JSON.parse(message.data));
    socket.onclose = () => this.lose(socket);
  }

  hear(event) {
    this.heardAt = Date.now();
    if (typeof event.id === "number") this.lastId = Math.max(this.lastId ?? 0, event.id);
    this.onEvent(event);
  }

  lose(socket) {
    if (socket !== this.socket || this.timer) return;
    this.onState("lost");
    const pause = PAUSES_MS[Math.min(this.failures, PAUSES_MS.length - 1)];
    this.failures += 1;
    this.timer = setTimeout(() => this.connect(), pause);
  }

  // A connection may die without a word, as when a laptop sleeps: ask, and give up on one that stays silent.
  watch() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (Date.now() - this.heardAt > SILENCE_MS) this.socket.close();
    else this.socket.send(JSON.stringify({ type: "ping" }));
  }

  hurry() {
    if (this.timer && document.visibilityState === "visible") this.connect();
  }
}
