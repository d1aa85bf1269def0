// Camera and microphone of this machine: open, change, mute, measure.

import { cameraOffCard } from "./card.js";

const CAMERA = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 25, max: 30 } };
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };

/** Hold the tracks that we would send: always one of sound and one of pictures. Without a microphone it is silence,
 * without a camera a card that says so: then a device can come later without a new offer.
 *
 * Events: "changed" ({kind, track}: another track is to be sent), "problem" ({kind, name}), "solved" ({kind}),
 * "devices". */
export class LocalMedia extends EventTarget {
  /** Device ids as asked for; "" is the browser's choice, null is none. */
  wanted = { audio: "", video: "" };
  muted = false;
  cameraOff = false;
  #devices = { audio: null, video: null };
  #card = null;
  #context = null;
  #silence = null;
  #meter = null;
  #turn = { audio: 0, video: 0 };

  constructor() {
    super();
    navigator.mediaDevices.addEventListener("devicechange", this.#devicesChanged);
  }

  /** The tracks to send. */
  get tracks() {
    return { audio: this.#track("audio"), video: this.#track("video") };
  }

  /** Whether a real device of this kind is open. */
  has(kind) {
    return this.#devices[kind] !== null;
  }

  /** Open both; one prompt where the browser can, one after the other where one of them fails. */
  async open() {
    const turn = { audio: ++this.#turn.audio, video: ++this.#turn.video };
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: constraints("audio", this.wanted.audio),
        video: constraints("video", this.wanted.video),
      });
      for (const track of stream.getTracks()) {
        if (turn[track.kind] === this.#turn[track.kind]) this.#take(track);
        else track.stop();
      }
    } catch {
      await this.pick("audio", this.wanted.audio);
      await this.pick("video", this.wanted.video);
    }
  }

  /** Use the device `id` ("" any, null none) for a kind from now on. A failure keeps nothing open and is told. */
  async pick(kind, id) {
    const turn = ++this.#turn[kind];
    this.wanted[kind] = id;
    if (kind === "video" && this.cameraOff) return;
    // Let go first: some cameras and drivers open only once.
    this.#release(kind);
    if (id === null) return this.#changed(kind);
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ [kind]: constraints(kind, id) });
      const [track] = stream.getTracks();
      if (turn !== this.#turn[kind]) return track.stop(); // another choice was made meanwhile
      this.#take(track);
    } catch (error) {
      if (turn !== this.#turn[kind]) return undefined;
      this.#tell("problem", { kind, name: error.name });
      this.#changed(kind);
    }
    return undefined;
  }

  /** Mute or unmute: silence is sent, so that the stream goes on. */
  mute(muted) {
    this.muted = muted;
    this.#track("audio").enabled = !muted;
  }

  /** Switch the camera off (its lamp goes out, others see the card) or on again. */
  async switchCamera(off) {
    if (off === this.cameraOff) return;
    this.cameraOff = off;
    if (!off) return void (await this.pick("video", this.wanted.video));
    this.#turn.video += 1;
    this.#release("video");
    this.#changed("video");
  }

  /** After a call: a camera that is off stays off until it is picked again. */
  rest() {
    if (!this.cameraOff) return;
    this.cameraOff = false;
    this.wanted.video = null;
    this.#tell("devices", {});
  }

  /** List what can be picked: {audio: [{id, label}], video: [...]}; labels are empty until one was allowed. */
  async list() {
    const found = { audio: [], video: [] };
    for (const { kind, deviceId, label } of await navigator.mediaDevices.enumerateDevices()) {
      const list = { audioinput: found.audio, videoinput: found.video }[kind];
      if (list && deviceId) list.push({ id: deviceId, label });
    }
    return found;
  }

  /** The microphone's level, 0 to 1: from -60 dB to 0 dB below full scale. */
  level() {
    if (!this.#meter || this.muted || !this.has("audio")) return 0;
    this.#meter.node.getFloatTimeDomainData(this.#meter.samples);
    let sum = 0;
    for (const sample of this.#meter.samples) sum += sample * sample;
    const decibels = 10 * Math.log10(sum / this.#meter.samples.length + 1e-12);
    return Math.min(1, Math.max(0, (decibels + 60) / 60));
  }

  /** Let the browser measure and make sound: it wants a click or key first. */
  wake() {
    this.#context?.resume();
  }

  /** Let go of everything. */
  close() {
    navigator.mediaDevices.removeEventListener("devicechange", this.#devicesChanged);
    this.#release("audio");
    this.#release("video");
    this.#card?.stop();
    this.#silence?.stop();
    this.#context?.close();
  }

  #track(kind) {
    if (this.#devices[kind]) return this.#devices[kind];
    if (kind === "video") return (this.#card ??= cameraOffCard()).track;
    return (this.#silence ??= this.#sound().createMediaStreamDestination().stream.getAudioTracks()[0]);
  }

  #take(track) {
    const { kind } = track;
    this.#release(kind);
    this.#devices[kind] = track;
    track.contentHint = kind === "audio" ? "speech" : "motion";
    track.onended = () => this.#devices[kind] === track && this.#gone(kind);
    if (kind === "audio") {
      track.enabled = !this.muted;
      this.#listen(track);
    }
    this.#tell("solved", { kind });
    this.#changed(kind);
  }

  /** The device was pulled out or the permission withdrawn: try what else there is. */
  #gone(kind) {
    this.#devices[kind] = null;
    this.pick(kind, "");
  }

  #devicesChanged = async () => {
    this.#tell("devices", {});
    const found = await this.list();
    for (const kind of ["audio", "video"]) {
      const missing = !this.has(kind) && this.wanted[kind] !== null && !(kind === "video" && this.cameraOff);
      if (missing && found[kind].length > 0) await this.pick(kind, "");
    }
  };

  #release(kind) {
    const old = this.#devices[kind];
    this.#devices[kind] = null;
    if (old) old.onended = null;
    old?.stop();
    if (kind === "audio") this.#meter?.source.disconnect();
  }

  #sound() {
    // Nobody listens to it: in larger pieces it wakes less often.
    return (this.#context ??= new AudioContext({ latencyHint: "playback" }));
  }

  #listen(track) {
    const context = this.#sound();
    const source = context.createMediaStreamSource(new MediaStream([track]));
    const node = new AnalyserNode(context, { fftSize: 1024 });
    source.connect(node);
    this.#meter = { source, node, samples: new Float32Array(node.fftSize) };
  }

  #changed(kind) {
    this.#tell("changed", { kind, track: this.#track(kind) });
    if (kind === "video" && this.has("video")) {
      this.#card?.stop();
      this.#card = null;
    }
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function constraints(kind, id) {
  if (id === null) return false;
  const base = kind === "audio" ? MICROPHONE : CAMERA;
  return id ? { ...base, deviceId: { exact: id } } : base;
}
