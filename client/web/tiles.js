// The people on the stage: one tile each, with their picture and what it is.

import { remoteState } from "./report.js";
import { shown, shownBriefly } from "./words.js";

const SETTLED_MS = 1500;

/** Show a state in words, by a sign and in colour. @param {HTMLElement} element with class "state" */
export function showState(element, state, notRealMs = 0) {
  if (element.dataset.state !== state) {
    element.dataset.state = state;
    element.querySelector("use").setAttribute("href", `#s-${state}`);
  }
  setText(element.querySelector(".state-words"), shown(state, notRealMs));
}

/** Change a text only when it differs, so that nothing is laid out or read out for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Keep the tiles of a call. */
export class Stage {
  #list;
  #empty;
  #template;
  #announce;
  #tiles = new Map();

  /** @param {(text: string) => void} announce says something to a screen reader */
  constructor(announce) {
    this.#list = document.querySelector("#tiles");
    this.#empty = document.querySelector("#empty");
    this.#template = document.querySelector("#tile-template");
    this.#announce = announce;
    this.clear();
  }

  /** Give a person a tile. @param {import("./call.js").Person} person */
  add(person) {
    const element = this.#template.content.firstElementChild.cloneNode(true);
    const video = element.querySelector("video");
    const button = element.querySelector("button");
    element.dataset.peer = person.id;
    setText(element.querySelector(".tile-name"), person.name);
    video.setAttribute("aria-label", `Video of ${person.name}`);
    video.addEventListener("resize", () => {
      if (video.videoWidth > 0) element.style.setProperty("--ratio", String(video.videoWidth / video.videoHeight));
    });
    button.addEventListener("click", () => play(video, button));
    const tile = { person, element, video, button, state: "waiting", told: "waiting", since: 0 };
    const { watcher } = person;
    watcher.addEventListener("stream", () => {
      video.srcObject = watcher.stream;
      play(video, button);
    });
    watcher.addEventListener("report", () => this.#refresh(tile));
    watcher.addEventListener("state", () => this.#refresh(tile));
    this.#tiles.set(person.id, tile);
    this.#list.append(element);
    this.#counted();
    this.#refresh(tile);
  }

  /** Take a person's tile away. */
  remove(person) {
    const tile = this.#tiles.get(person.id);
    if (!tile) return;
    tile.video.srcObject = null;
    tile.element.remove();
    this.#tiles.delete(person.id);
    this.#counted();
  }

  /** Bring every tile up to date; for once a second. */
  refresh() {
    for (const tile of this.#tiles.values()) this.#refresh(tile);
  }

  /** Take all tiles away. */
  clear() {
    for (const { person } of [...this.#tiles.values()]) this.remove(person);
    this.#counted();
  }

  #refresh(tile) {
    const { watcher, framesFlow, figures } = tile.person;
    const now = performance.now();
    const state = remoteState({
      connected: watcher.connection.state !== "reconnecting",
      report: watcher.reports.newest,
      reportAgeMs: watcher.reports.ageMs(now),
      framesFlow,
    });
    if (state !== tile.state) Object.assign(tile, { state, since: now });
    tile.element.dataset.state = state;
    tile.element.dataset.picture = figures?.framesDecoded > 0 ? "yes" : "no";
    showState(tile.element.querySelector(".state"), state, watcher.reports.notRealMs(now));
    this.#tell(tile, now);
  }

  /** Say a change to a screen reader once it has settled: a flicker is of no use there. */
  #tell(tile, now) {
    if (tile.state === tile.told || tile.state === "returning" || now - tile.since < SETTLED_MS) return;
    tile.told = tile.state;
    this.#announce(`${tile.person.name}: ${shownBriefly(tile.state)}`);
  }

  #counted() {
    this.#empty.hidden = this.#tiles.size > 0;
    this.#list.hidden = this.#tiles.size === 0;
    this.#list.dataset.count = String(Math.min(this.#tiles.size, 9));
  }
}

/** Play, and offer a button where the browser wants a click first. */
async function play(video, button) {
  try {
    await video.play();
    button.hidden = true;
  } catch (error) {
    if (error.name === "NotAllowedError") button.hidden = false;
  }
}
