// The line to the signaling server: one websocket that comes back by itself, with the same seat.

const VERSION = 1;
/** Close code of a connection whose seat another one has taken with the same session. */
const REPLACED = 4001;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;
// The server pings, but a page cannot see that: a socket that is dead without a word is noticed when the network says so.

/** Give the wait before try number `attempt` (0 is the first), ms: doubling, with up to a quarter more by chance. */
export function retryWait(attempt, chance = Math.random()) {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt) * (1 + chance / 4);
}

/** Keep a seat in a room. Events (CustomEvent, `detail`):
 * - "joined": {peer, peers, same}: we are in; `same` tells that it is the seat we had before.
 * - "message": any other message of the server.
 * - "lost": the connection is gone, a new one is tried.
 * - "refused": {code}: the server will not have us; nothing more is tried. */
export class Signaling extends EventTarget {
  #socket = null;
  #timer = 0;
  #attempt = 0;
  #closed = false;
  #address;
  #join;
  #peer = "";
  #connected = false;
  #final;

  /** @param {string} address ws:// or wss://
   * @param {{room: string, token: string, name: string, role: string, session: string}} join
   * @param {(code: string) => boolean} final tells whether an error code ends all tries */
  constructor(address, join, final) {
    super();
    this.#address = address;
    this.#join = join;
    this.#final = final;
  }

  /** Whether messages can be sent now. */
  get connected() {
    return this.#connected;
  }

  /** Connect; call once. */
  open() {
    this.#closed = false;
    this.#connect();
    addEventListener("online", this.#hurry);
  }

  /** Send a message if the line stands; what is lost meanwhile is said anew after "joined". */
  send(message) {
    if (!this.#connected) return false;
    this.#socket.send(JSON.stringify({ v: VERSION, ...message }));
    return true;
  }

  /** Leave the room for good. */
  close() {
    this.send({ type: "leave" });
    this.#stop();
  }

  #stop() {
    this.#closed = true;
    this.#connected = false;
    clearTimeout(this.#timer);
    removeEventListener("online", this.#hurry);
    this.#socket?.close();
  }

  #hurry = () => {
    if (this.#closed || this.#connected) return;
    this.#attempt = 0;
    clearTimeout(this.#timer);
    this.#connect();
  };

  #connect() {
    this.#socket?.close();
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    socket.onopen = () => socket.send(JSON.stringify({ v: VERSION, type: "join", ...this.#join }));
    socket.onmessage = ({ data }) => this.#socket === socket && this.#take(JSON.parse(data));
    socket.onclose = ({ code }) => this.#socket === socket && this.#lost(code);
  }

  #take(message) {
    if (message.type === "joined") {
      const same = message.peer === this.#peer;
      this.#peer = message.peer;
      this.#connected = true;
      this.#attempt = 0;
      this.#tell("joined", { peer: message.peer, peers: message.peers, same });
    } else if (message.type === "error" && !this.#connected && this.#final(message.code)) {
      this.#stop();
      this.#tell("refused", { code: message.code });
    } else {
      this.#tell("message", message);
    }
  }

  #lost(code) {
    if (this.#closed) return;
    if (code === REPLACED) {
      this.#stop();
      this.#tell("refused", { code: "replaced" });
      return;
    }
    this.#connected = false;
    this.#timer = setTimeout(() => this.#connect(), retryWait(this.#attempt++));
    this.#tell("lost", {});
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
