// Cameras of the room that can be switched from here: `lipline cam --join`, no part of the call. No picture comes by this.

import { setText } from "./tiles.js";
import { duration } from "./words.js";

/** A camera tells its state every 2 s; after three of them it is not believed. */
const SILENT_MS = 7000;
const REFRESH_MS = 500;
const MODES = new Set(["through", "photo", "dub", "away"]);
const STATES = new Set(["real", "synth", "returning", "still", "waiting"]);
const SHOWN = {
  real: "real",
  synth: "synthetic",
  returning: "coming back to real",
  still: "standing still",
  waiting: "no picture yet",
  silent: "does not answer",
};

/** Read a camera-state message; null if it is none. Wild numbers become 0. */
export function readState(message) {
  if (message?.type !== "camera-state" || !MODES.has(message.mode) || !STATES.has(message.state)) return null;
  if (!Array.isArray(message.modes)) return null;
  const number = (value) => (Number.isFinite(value) && value > 0 ? value : 0);
  return {
    mode: message.mode,
    modes: message.modes.filter((mode) => MODES.has(mode)),
    state: message.state,
    sinceMs: number(message.since_ms),
    fps: number(message.fps),
    faces: number(message.faces),
    followed: number(message.followed),
    detail: typeof message.detail === "string" ? message.detail.slice(0, 256) : "",
  };
}

/** Say what a camera shows: the sign to show, and words. `ageMs` is how old the state is.
 * @param {ReturnType<typeof readState>} state null before the first */
export function cameraWords(state, ageMs) {
  if (state === null) return { sign: "waiting", words: SHOWN.waiting };
  if (ageMs > SILENT_MS) return { sign: "reconnecting", words: SHOWN.silent };
  const since = state.state === "waiting" ? "" : ` since ${duration(state.sinceMs + ageMs)}`;
  const rate = state.fps >= 0.5 ? `, ${Math.round(state.fps)} fps` : "";
  return { sign: state.state, words: `${SHOWN[state.state]}${since}${rate}` };
}

/** Say which of several faces is followed; "" while there is one, or none of them is. Arguments as above. */
export function followedWords(state, ageMs) {
  if (state === null || ageMs > SILENT_MS) return "";
  const { faces, followed } = state;
  if (faces < 2 || followed < 1 || followed > faces) return "";
  return `follows the ${followed}${["st", "nd", "rd"][followed - 1] ?? "th"} of ${faces} faces from the left`;
}

/** Tell which buttons can be pressed: modes that are possible, "face" while there are several faces to choose from. */
export function possible(state, ageMs) {
  if (state === null || ageMs > SILENT_MS) return new Set();
  return new Set([...state.modes, ...(state.faces > 1 ? ["face"] : [])]);
}

/** Keep the group of buttons of each camera; hidden while there is none. */
export class CameraPanel {
  #section;
  #list;
  #template;
  #ask;
  #announce;
  #cameras = new Map();
  #timer = 0;

  /** @param {(message: object) => void} ask sends a message to the room
   * @param {(text: string) => void} announce says something to a screen reader */
  constructor(ask, announce) {
    this.#section = document.querySelector("#cameras");
    this.#list = document.querySelector("#camera-list");
    this.#template = document.querySelector("#camera-template");
    this.#ask = ask;
    this.#announce = announce;
  }

  /** Take who is in the room now: cameras that are not listed are gone. */
  room(peers) {
    const cameras = peers.filter(({ role }) => role === "camera");
    const here = new Set(cameras.map(({ id }) => id));
    for (const id of [...this.#cameras.keys()]) if (!here.has(id)) this.#remove(id);
    for (const { id, name } of cameras) this.#add(id, name);
  }

  /** Take a message of the room that may be about a camera. */
  take(message) {
    if (message.type === "peer-joined" && message.peer.role === "camera") this.#add(message.peer.id, message.peer.name);
    else if (message.type === "peer-left") this.#remove(message.peer);
    else if (message.type === "camera-state") this.#told(this.#cameras.get(message.from), readState(message));
  }

  /** Take every group away. */
  clear() {
    for (const id of [...this.#cameras.keys()]) this.#remove(id);
  }

  #add(id, name) {
    if (this.#cameras.has(id)) return;
    const element = this.#template.content.firstElementChild.cloneNode(true);
    const title = element.querySelector("h3");
    title.id = `camera-${id}`;
    setText(title, name || "camera");
    element.setAttribute("aria-labelledby", title.id);
    const camera = { id, name: name || "camera", element, state: null, at: 0, asked: false };
    const buttons = [...element.querySelectorAll("button")];
    for (const button of buttons) button.onclick = () => this.#press(camera, button.value);
    this.#cameras.set(id, camera);
    this.#list.append(element);
    this.#counted();
    this.#refresh(camera);
  }

  #remove(id) {
    const camera = this.#cameras.get(id);
    if (!camera) return;
    camera.element.remove();
    this.#cameras.delete(id);
    this.#counted();
  }

  #counted() {
    this.#section.hidden = this.#cameras.size === 0;
    clearInterval(this.#timer);
    const refresh = () => this.#cameras.forEach((camera) => this.#refresh(camera));
    if (this.#cameras.size > 0) this.#timer = setInterval(refresh, REFRESH_MS);
  }

  #press(camera, what) {
    const button = camera.element.querySelector(`button[value="${what}"]`);
    // Kept in the order of keys while it cannot be pressed, so that the focus is not lost with it.
    if (button.getAttribute("aria-disabled") === "true") return;
    const to = camera.id;
    camera.asked = what === "face";
    this.#ask(what === "face" ? { type: "camera-face", to } : { type: "camera-mode", mode: what, to });
  }

  #told(camera, state) {
    if (!camera || state === null) return;
    const before = camera.state;
    Object.assign(camera, { state, at: performance.now() });
    this.#refresh(camera);
    if (before && before.mode !== state.mode) this.#announce(`${camera.name}: ${state.mode}`);
    const whom = followedWords(state, 0);
    if (camera.asked && whom && state.followed !== before?.followed) {
      camera.asked = false;
      this.#announce(`${camera.name}: ${whom}`);
    }
    if (state.detail && state.detail !== before?.detail) this.#announce(`${camera.name}: ${state.detail}`);
  }

  #refresh({ element, state, at }) {
    const ageMs = performance.now() - at;
    const { sign, words } = cameraWords(state, ageMs);
    const shown = element.querySelector(".state");
    if (shown.dataset.state !== sign) {
      shown.dataset.state = sign;
      shown.querySelector("use").setAttribute("href", `#s-${sign}`);
    }
    setText(shown.querySelector(".state-words"), words);
    setText(element.querySelector(".followed"), followedWords(state, ageMs));
    setText(element.querySelector(".problem"), state?.detail ?? "");
    const can = possible(state, ageMs);
    for (const button of element.querySelectorAll("button")) {
      button.setAttribute("aria-disabled", String(!can.has(button.value)));
      if (button.value !== "face") button.setAttribute("aria-pressed", String(state?.mode === button.value));
    }
  }
}
