// What goes out: our sound and picture, and what we tell the node about them on the data channel.

import { Connection } from "./connection.js";
import { ReportLog, readReport } from "./report.js";

const REPEAT_MS = 300;
const AUDIO_BPS = 24_000;
// 30 bytes of Opus a packet: with headers speech then fits 40 kbit/s.
const NARROW_AUDIO_BPS = 12_000;
const VIDEO_BPS = 1_500_000;
// Loss lowers what a browser sends to 30 kbit/s, and it climbs by 8 % a second; below this our video rests anyway.
const LEAST_KBPS = 150;

/** Publish two tracks to the node.
 *
 * Events: "state" ({state}) of the connection, "you" (`seen` has news), "pong" ({n}: a ping was answered). */
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
    this.connection = new Connection("", send, (pc) => this.#prepare(pc), withLeastRate);
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

  /** Send ping `n` with `pad` bytes of filling; its answer is told. Neither is repeated when it is lost. */
  ping({ n, pad }) {
    this.connection.say({ type: "ping", n, pad: ".".repeat(pad) });
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
    const answer = readAnswer(text);
    if (answer?.type === "pong") return this.#tell("pong", { n: answer.n });
    for (const [topic, message] of this.#unacked) if (message.n === answer?.n) this.#unacked.delete(topic);
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

/** Read an ack or a pong, {type, n}; null for anything else. */
function readAnswer(text) {
  try {
    const message = JSON.parse(text);
    return ["ack", "pong"].includes(message?.type) ? message : null;
  } catch {
    return null;
  }
}

/** Ask Chromium (others do not know this parameter) to let no estimate of the link fall below `LEAST_KBPS`: a line of
 * format parameters for every video codec of the node's answer. */
export function withLeastRate(sdp) {
  const [session, ...sections] = sdp.split(/^(?=m=)/m);
  return [session, ...sections.map((section) => (section.startsWith("m=video") ? floored(section) : section))].join("");
}

function floored(section) {
  const parameter = `x-google-min-bitrate=${LEAST_KBPS}`;
  return section.replace(/^a=rtpmap:(\d+) (?!rtx\/).*\r?\n/gm, (line, type) => {
    const known = new RegExp(`^a=fmtp:${type} `, "m").test(section);
    return known ? line : `${line}a=fmtp:${type} ${parameter}\r\n`;
  }).replace(/^(a=fmtp:(\d+) )(?!apt=|x-google-min)/gm, `$1${parameter};`);
}

/** Put Opus first; where the browser cannot say what it has, its own order stays (Opus first in all of them). */
function preferOpus(transceiver) {
  const codecs = RTCRtpSender.getCapabilities?.("audio")?.codecs;
  if (!codecs || !transceiver.setCodecPreferences) return;
  const opus = (codec) => codec.mimeType.toLowerCase() === "audio/opus";
  transceiver.setCodecPreferences([...codecs.filter(opus), ...codecs.filter((codec) => !opus(codec))]);
}
