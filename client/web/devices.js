// Camera and microphone on the page: choosing, self view, level, and what went wrong.

import { mediaProblem } from "./words.js";

const NONE = "none";
const LABELS = { audio: "Microphone", video: "Camera" };
const METER_MS = 66;

/** Tie LocalMedia to the controls of the page, those before and those in the call. */
export class DeviceControls {
  #media;
  #selects;
  #videos = [document.querySelector("#preview"), document.querySelector("#self")];
  #meters = [document.querySelector("#level"), document.querySelector("#call-level")];
  #timer = 0;

  /** @param {import("./media.js").LocalMedia} media */
  constructor(media) {
    this.#media = media;
    this.#selects = { video: pair("#camera", "#call-camera"), audio: pair("#microphone", "#call-microphone") };
    for (const kind of ["audio", "video"]) {
      for (const select of this.#selects[kind]) select.onchange = () => this.#picked(kind, select.value);
      this.#problem(kind, "");
    }
    media.addEventListener("changed", ({ detail }) => this.#changed(detail));
    media.addEventListener("problem", ({ detail }) => this.#problem(detail.kind, detail.name));
    media.addEventListener("solved", ({ detail }) => this.#problem(detail.kind, ""));
    media.addEventListener("devices", () => this.#list());
    this.#timer = setInterval(() => this.#measure(), METER_MS);
  }

  /** Open the devices and fill the lists. */
  async open() {
    await this.#media.open();
    await this.#list();
    for (const kind of ["audio", "video"]) this.#changed({ kind, track: this.#media.tracks[kind] });
  }

  async #picked(kind, value) {
    await this.#media.pick(kind, value === NONE ? null : value);
    await this.#list();
  }

  async #list() {
    const found = await this.#media.list();
    for (const kind of ["audio", "video"]) {
      const options = found[kind].map(({ id, label }, index) => [id, label || `${LABELS[kind]} ${index + 1}`]);
      options.push([NONE, `No ${LABELS[kind].toLowerCase()}`]);
      for (const select of this.#selects[kind]) {
        select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
        select.value = this.#current(kind, options);
      }
    }
  }

  #current(kind, options) {
    const open = this.#media.tracks[kind].getSettings().deviceId;
    const wanted = this.#media.wanted[kind];
    const known = (id) => options.some(([value]) => value === id);
    if (wanted !== null && this.#media.has(kind) && known(open)) return open;
    return wanted && known(wanted) ? wanted : wanted === "" && options.length > 1 ? options[0][0] : NONE;
  }

  #changed({ kind, track }) {
    if (kind !== "video") return;
    for (const video of this.#videos) {
      video.srcObject = new MediaStream([track]);
      // A mirror is what people expect of a camera, and not of a text.
      video.dataset.mirrored = this.#media.has("video") ? "yes" : "no";
    }
  }

  #problem(kind, name) {
    const text = name ? mediaProblem(name, LABELS[kind].toLowerCase()) : "";
    for (const id of [`#problem-${kind}`, `#call-problem-${kind}`]) document.querySelector(id).textContent = text;
    const troubled = document.querySelectorAll(".preview .problem:not(:empty)").length > 0;
    document.querySelector("#retry").hidden = !troubled;
  }

  #measure() {
    const level = this.#media.level();
    const tens = String(Math.round(level * 10) * 10);
    for (const meter of this.#meters) {
      meter.firstElementChild.style.transform = `scaleX(${level.toFixed(2)})`;
      if (meter.getAttribute("aria-valuenow") !== tens) meter.setAttribute("aria-valuenow", tens);
    }
  }
}

function pair(...selectors) {
  return selectors.map((selector) => document.querySelector(selector));
}
