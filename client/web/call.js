// One call: a seat in a room, what we publish, whom we watch. No DOM.

import { Publisher } from "./publish.js";
import { Signaling } from "./signaling.js";
import { received, sent } from "./stats.js";
import { UplinkGuard } from "./uplink.js";
import { Watcher } from "./watch.js";
import { roomProblem } from "./words.js";

const FIGURES_MS = 1000;
const PING_MS = 100;
const PUBLISHING = new Set(["caller", "participant"]);

/** @typedef {{id: string, name: string, watcher: Watcher, figures: object|null, framesFlow: boolean}} Person */

/** Take part in a room.
 *
 * Events: "line" (see `line`), "came" and "left" ({person}), "you" (`seen` has news),
 * "figures" (once a second), "saving" ({saving}: video rests because the uplink is too narrow), "refused" ({code}),
 * "room" ({peers}: all who are here, on every entry) and "message" ({message}: any other of the room). */
export class Call extends EventTarget {
  /** @type {Map<string, Person>} */ people = new Map();
  /** How we stand: "connecting", "no-node", "refused", "connected", "reconnecting". */
  line = "connecting";
  /** Our peer id. */
  peer = "";
  /** What goes out, see stats.js; null before the first reading. */
  figures = null;
  /** Whether the user paused the video. */
  paused = false;
  /** Whether video rests because the uplink is too narrow. */
  saving = false;
  #signaling;
  #publisher;
  #media;
  #node = "";
  #guard = new UplinkGuard();
  #refused = false;
  #over = false;
  #timers = [];

  /** @param {string} address of the signaling server
   * @param {{room: string, token: string, name: string, session: string}} seat
   * @param {import("./media.js").LocalMedia} media */
  constructor(address, seat, media) {
    super();
    this.#media = media;
    this.#signaling = new Signaling(address, { ...seat, role: "participant" }, (code) => roomProblem(code) !== "");
    this.#signaling.addEventListener("joined", ({ detail }) => this.#joined(detail));
    this.#signaling.addEventListener("message", ({ detail }) => this.#take(detail));
    this.#signaling.addEventListener("lost", () => this.#judge());
    this.#signaling.addEventListener("refused", ({ detail }) => this.#tell("refused", detail));
    this.#publisher = new Publisher(this.#toNode, media.tracks);
    this.#publisher.addEventListener("state", () => this.#judge());
    this.#publisher.addEventListener("you", () => this.#you());
    this.#publisher.addEventListener("pong", ({ detail }) => this.#ponged(detail.n));
    media.addEventListener("changed", this.#mediaChanged);
  }

  /** What others see of us. */
  get seen() {
    return this.#publisher.seen;
  }

  /** Enter. */
  open() {
    this.#signaling.open();
    this.#timers = [setInterval(() => this.#read(), FIGURES_MS), setInterval(() => this.#ping(), PING_MS)];
  }

  /** Leave the room and end every connection. */
  close() {
    this.#over = true;
    this.#timers.forEach(clearInterval);
    this.#media.removeEventListener("changed", this.#mediaChanged);
    this.#publisher.close();
    for (const person of this.people.values()) person.watcher.close();
    this.people.clear();
    this.#signaling.close();
  }

  /** Stop or resume sending pictures; others see us synthetic meanwhile. */
  pause(paused) {
    this.paused = paused;
    return this.#applyPause();
  }

  /** Play an uplink of `kbps`; -1 takes the limit off. */
  tryUplink(kbps) {
    this.#publisher.tryUplink(kbps);
  }

  /** Send a message to the peer in its `to`; lost while the line is. */
  ask(message) {
    this.#signaling.send(message);
  }

  #toNode = (message) => this.#node !== "" && this.#signaling.send({ ...message, to: this.#node });

  #mediaChanged = ({ detail }) => {
    this.#publisher.replace(detail.track);
    // With the camera off the card has to get through, not a synthetic face.
    if (detail.kind === "video") this.#applyPause();
  };

  async #applyPause() {
    const { cameraOff } = this.#media;
    if (cameraOff) this.paused = false;
    await this.#publisher.pause(!cameraOff && (this.paused || this.saving));
  }

  #joined({ peer, peers, same }) {
    this.peer = peer;
    this.#tell("room", { peers });
    const node = peers.find(({ role }) => role === "node")?.id ?? "";
    // Another seat or another node knows nothing of our connections.
    const anew = !same || node !== this.#node;
    this.#node = node;
    const here = new Set(peers.map(({ id }) => id));
    for (const id of [...this.people.keys()]) if (!here.has(id)) this.#gone(id);
    const known = [...this.people.values()];
    for (const other of peers) this.#came(other);
    if (node !== "") {
      for (const connection of [this.#publisher, ...known.map(({ watcher }) => watcher)].map((end) => end.connection)) {
        if (anew) connection.open();
        else connection.resume();
      }
    }
    this.#judge();
  }

  #take(message) {
    this.#tell("message", { message });
    switch (message.type) {
      case "peer-joined":
        if (message.peer.role === "node") this.#nodeCame(message.peer.id);
        else this.#came(message.peer);
        break;
      case "peer-left":
        if (message.peer === this.#node) this.#node = "";
        else this.#gone(message.peer);
        break;
      case "answer":
      case "candidate":
        if (message.from === this.#node) this.#fromNode(message);
        break;
      case "error":
        console.warn("signaling:", message.code, message.detail);
        break;
      default: // a later version may say more
    }
    this.#judge();
  }

  #fromNode(message) {
    const end = message.of ? this.people.get(message.of)?.watcher : this.#publisher;
    if (message.type === "answer" && end === this.#publisher) this.#refused = message.sdp === "";
    if (message.type === "answer") end?.connection.answered(message);
    else end?.connection.candidate(message);
  }

  #nodeCame(id) {
    this.#node = id;
    this.#publisher.connection.open();
    for (const { watcher } of this.people.values()) watcher.connection.open();
  }

  #came({ id, role, name }) {
    if (!PUBLISHING.has(role) || this.people.has(id)) return;
    const watcher = new Watcher(id, this.#toNode);
    const person = { id, name: name || "Somebody", watcher, figures: null, framesFlow: false };
    this.people.set(id, person);
    this.#tell("came", { person });
    if (this.#node !== "") watcher.connection.open();
  }

  #gone(id) {
    const person = this.people.get(id);
    if (!person) return;
    this.people.delete(id);
    person.watcher.close();
    this.#tell("left", { person });
  }

  async #read() {
    const reading = await this.#publisher.connection.pc?.getStats();
    if (reading) {
      this.figures = sent(reading, this.figures);
      this.#guard.look(performance.now(), this.figures);
      await this.#mind();
    }
    for (const person of this.people.values()) {
      const got = await person.watcher.connection.pc?.getStats();
      if (!got) continue;
      const before = person.figures;
      person.figures = received(got, before);
      person.framesFlow = before !== null && person.figures.framesDecoded > before.framesDecoded;
    }
    this.#tell("figures", {});
  }

  #you() {
    this.#guard.answered = true;
    this.#tell("you", {});
  }

  #ping() {
    const ping = this.#guard.ping(performance.now());
    if (ping) this.#publisher.ping(ping);
    this.#mind();
  }

  #ponged(n) {
    const ping = this.#guard.pong(performance.now(), n);
    if (ping) this.#publisher.ping(ping);
    this.#mind();
  }

  /** Let video rest while the uplink cannot carry it beside speech. */
  async #mind() {
    const { saving } = this.#guard;
    if (saving === this.saving) return;
    this.saving = saving;
    await this.#publisher.narrow(saving);
    await this.#applyPause();
    this.#tell("saving", { saving });
  }

  #judge() {
    let line = "connected";
    if (this.peer === "") line = "connecting";
    else if (!this.#signaling.connected) line = "reconnecting";
    else if (this.#node === "") line = "no-node";
    else if (this.#refused) line = "refused";
    else if (this.#publisher.connection.state !== "connected") line = this.#publisher.connection.state;
    if (line === this.line) return;
    this.line = line;
    this.#tell("line", { line });
  }

  #tell(type, detail) {
    if (this.#over) return; // who left hears no more of it
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
