// The line to the demo: one WebSocket, opened again by itself when it breaks.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;
const ENDED = 1001;

/** A refusal by the demo; `message` is a sentence for people. */
export class Refused extends Error {
  constructor({ code, message }) {
    super(message);
    this.code = code;
  }
}

export class Connection {
  #socket = null;
  #asked = new Map();
  #number = 0;
  #pause = FIRST_PAUSE_MS;

  /**
   * @param {{snapshot: function(object), event: function(string, object),
   *   state: function("open" | "lost" | "ended")}} listeners
   */
  constructor(listeners) {
    this.listeners = listeners;
    window.addEventListener("online", () => this.#openNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.#openNow());
  }

  /** Open the line; from here on it is kept open. */
  open() {
    const socket = new WebSocket(`ws://${location.host}/live`);
    this.#socket = socket;
    socket.addEventListener("message", (event) => this.#take(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => this.#closed(socket, event.code));
  }

  /** Ask the demo to do something; the promise holds its result, or fails as `Refused`. */
  act(what, fields = {}) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return Promise.reject(lost());
    const id = ++this.#number;
    this.#socket.send(JSON.stringify({ id, do: what, ...fields }));
    return new Promise((resolve, reject) => this.#asked.set(id, { resolve, reject }));
  }

  #take(frame) {
    if (frame.type === "snapshot") {
      this.#pause = FIRST_PAUSE_MS;
      this.listeners.snapshot(frame);
      this.listeners.state("open");
    } else if (frame.type === "event") this.listeners.event(frame.name, frame.data);
    else if (frame.type === "answer") this.#answer(frame);
  }

  #answer(frame) {
    const asked = this.#asked.get(frame.id);
    this.#asked.delete(frame.id);
    if (frame.ok) asked?.resolve(frame.result);
    else asked?.reject(new Refused(frame.error));
  }

  #closed(socket, code) {
    if (socket !== this.#socket) return;
    for (const { reject } of this.#asked.values()) reject(lost());
    this.#asked.clear();
    this.listeners.state(code === ENDED ? "ended" : "lost");
    setTimeout(() => this.#openNow(socket), this.#pause);
    this.#pause = Math.min(this.#pause * 1.6, LONGEST_PAUSE_MS);
  }

  #openNow(closed = this.#socket) {
    if (closed === this.#socket && closed?.readyState === WebSocket.CLOSED) this.open();
  }
}

const lost = () => new Refused({ code: "lost", message: "The page has lost the demo. Try again in a moment." });
