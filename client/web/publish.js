// What goes out: our sound and picture, and what we tell the node about them on the data channel.

import { Connection } from "./connection.js";
import { ReportLog, readReport } from "./report.js";

const REPEAT_MS = 300;
const AUDIO_BPS = 24_000;
// 30 bytes of Opus a packet: with headers speech then fits 40 kbit/s.
const NARROW_AUDIO_BPS = 12_000;
const VIDEO_BPS = 1_500_000;

/** Publish two tracks to the node.
 *
 * Events: "state" ({state}) of the connection, "you" (`seen` has news). */
export class Publisher extends EventTarget {
  paused = false;
  /** What others see of us. */
  seen = new ReportLog();
  /** Our uplink as the node plays it, kbit/s; -1 is no limit. */
  uplink = -1;
  #tracks;
  #senders = { audio: null, video: null };
  #narrow = false;
  #unacked = new Map();
  #number = 0;
  #timer = setInterval(() => this.#repeat(), REPEAT_MS);

  /** @param {(message: object) => boolean} send
   * @param {{audio: MediaStreamTrack, video: MediaStreamTrack}} tracks */
  constructor(send, tracks) {
    super();
    this.#tracks = { ...tracks };
    this.connection = new Connection("", send, (pc) => this.#prepare(pc));
    this.connection.addEventListener("state", ({ detail }) => this.#tell("state", detail));
    this.connection.addEventListener("channel", () => this.#restate());
    this.connection.addEventListener("control", ({ detail }) => this.#heard(detail.text));
  }

  /** Take the limit off our uplink and end it. */
  close() {
    if (this.uplink >= 0) this.connection.say({ type: "try-link", n: ++this.#number, kbps: -1 });
    clearInterval(this.#timer);
    this.connection.close();
  }

  /** Send another track of its kind from now on; the call goes on without a new offer. */
  async replace(track) {
    this.#tracks[track.kind] = track;
    await this.#senders[track.kind]?.replaceTrack(track);
  }

  /** Stop or resume sending pictures. The node is told, so that it goes on for us at once. */
  async pause(paused) {
    if (paused === this.paused) return;
    this.paused = paused;
    this.#assure(paused ? "video-paused" : "video-resumed", "video");
    await this.#adjust("video", (encoding) => (encoding.active = !paused));
  }

  /** Let speech take less while the uplink is too narrow for more. */
  async narrow(narrow) {
    if (narrow === this.#narrow) return;
    this.#narrow = narrow;
    await this.#adjust("audio", (encoding) => (encoding.maxBitrate = narrow ? NARROW_AUDIO_BPS : AUDIO_BPS));
  }

  /** Ask the node to treat what we send as if our uplink had `kbps`; -1 takes the limit off. */
  tryUplink(kbps) {
    this.uplink = kbps;
    this.#assure("try-link", "link", { kbps });
  }

  #prepare(pc) {
    const { audio, video } = this.#tracks;
    const audioBps = this.#narrow ? NARROW_AUDIO_BPS : AUDIO_BPS;
    const speech = pc.addTransceiver(audio, {
      direction: "sendonly",
      sendEncodings: [{ maxBitrate: audioBps, priority: "high", networkPriority: "high" }],
    });
    const picture = pc.addTransceiver(video, {
      direction: "sendonly",
      sendEncodings: [{ active: !this.paused, maxBitrate: VIDEO_BPS, priority: "low", networkPriority: "low" }],
    });
    preferOpus(speech);
    this.#senders = { audio: speech.sender, video: picture.sender };
  }

  /** Say on a new channel what the node cannot know of the old one. */
  #restate() {
    this.#unacked.clear();
    if (this.paused) this.#assure("video-paused", "video");
    if (this.uplink >= 0) this.#assure("try-link", "link", { kbps: this.uplink });
  }

  /** Say it until it is acked: the channel never retransmits. Of each topic only the newest counts. */
  #assure(type, topic, more = {}) {
    const message = { type, n: ++this.#number, ...more };
    this.#unacked.set(topic, message);
    this.connection.say(message);
  }

  #repeat() {
    for (const message of this.#unacked.values()) this.connection.say(message);
  }

  #heard(text) {
    const report = readReport(text);
    if (report?.you) {
      this.seen.take(report, performance.now());
      return this.#tell("you", {});
    }
    const number = ackOf(text);
    for (const [topic, message] of this.#unacked) if (message.n === number) this.#unacked.delete(topic);
    return undefined;
  }

  async #adjust(kind, change) {
    const sender = this.#senders[kind];
    const parameters = sender?.getParameters();
    if (!parameters?.encodings?.length) return;
    parameters.encodings.forEach(change);
    try {
      await sender.setParameters(parameters);
    } catch (error) {
      // The connection was replaced meanwhile; the new one was made with the new value.
      console.warn(`the ${kind} sender kept its parameters:`, error.name);
    }
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Read the number of an ack; NaN for anything else. */
function ackOf(text) {
  try {
    const message = JSON.parse(text);
    return message?.type === "ack" ? message.n : NaN;
  } catch {
    return NaN;
  }
}

/** Put Opus first; where the browser cannot say what it has, its own order stays (Opus first in all of them). */
function preferOpus(transceiver) {
  const codecs = RTCRtpSender.getCapabilities?.("audio")?.codecs;
  if (!codecs || !transceiver.setCodecPreferences) return;
  const opus = (codec) => codec.mimeType.toLowerCase() === "audio/opus";
  transceiver.setCodecPreferences([...codecs.filter(opus), ...codecs.filter((codec) => !opus(codec))]);
}
