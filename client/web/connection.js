// One peer connection to the node, kept alive: when it fails, a new one takes its place under the same name.

const CHANNEL = "lipline";
const ANSWER_MS = 10_000;
const DISCONNECTED_MS = 3000;
const LONGEST_WAIT_MS = 8000;

/** Keep a connection to the node for publishing (`of` is "") or for watching the peer `of`.
 *
 * Events (CustomEvent): "state" ({state}: "connecting", "connected", "reconnecting", "closed"), "track" ({track}),
 * "channel" (the data channel is open), "control" ({text}). */
export class Connection extends EventTarget {
  /** @type {RTCPeerConnection|null} */ pc = null;
  /** @type {RTCDataChannel|null} */ channel = null;
  state = "connecting";
  #send;
  #prepare;
  #adapt;
  #timer = 0;
  #attempt = 0;
  #remote = false;
  #early = [];

  /** @param {string} of
   * @param {(message: object) => boolean} send carries a message to the node; false if that is impossible now
   * @param {(pc: RTCPeerConnection) => void} prepare adds what is sent or received, before the offer
   * @param {(sdp: string) => string} adapt changes the node's answer before it is taken */
  constructor(of, send, prepare, adapt = (sdp) => sdp) {
    super();
    this.of = of;
    this.#send = send;
    this.#prepare = prepare;
    this.#adapt = adapt;
  }

  /** Make a new peer connection and offer it. The node drops the old one with the same name. */
  async open() {
    clearTimeout(this.#timer);
    this.#discard();
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.pc = pc;
    this.#remote = false;
    this.#early = [];
    this.#prepare(pc);
    this.#openChannel(pc);
    pc.ontrack = ({ track }) => this.pc === pc && this.#tell("track", { track });
    pc.onicecandidate = ({ candidate }) => this.pc === pc && this.#trickle(candidate);
    pc.onconnectionstatechange = () => this.pc === pc && this.#changed(pc);
    this.#timer = setTimeout(() => this.#again(), ANSWER_MS);
    await pc.setLocalDescription();
    if (this.pc !== pc) return; // closed or replaced meanwhile
    // Without a line to the server the offer goes nowhere: the timer above, or `resume`, tries again.
    this.#send({ type: "offer", sdp: pc.localDescription.sdp, of: this.of });
  }

  /** Open anew unless media flows: call it when the signaling line is back. */
  resume() {
    if (this.pc?.connectionState !== "connected") this.open();
  }

  /** Take the node's answer; one that does not fit (it answers an earlier offer) is left, and the timer tries again. */
  async answered(message) {
    const pc = this.pc;
    if (!pc || pc.signalingState !== "have-local-offer" || !message.sdp) return;
    try {
      await pc.setRemoteDescription({ type: "answer", sdp: this.#adapt(message.sdp) });
    } catch (error) {
      console.warn("the node's answer was left:", error.name);
      return;
    }
    if (this.pc !== pc) return;
    this.#remote = true;
    for (const candidate of this.#early.splice(0)) await this.#add(pc, candidate);
  }

  /** Take a candidate of the node. */
  async candidate(message) {
    const candidate = { candidate: message.candidate, sdpMid: message.mid ?? "0" };
    if (this.#remote) await this.#add(this.pc, candidate);
    else if (this.#early.length < 64) this.#early.push(candidate);
  }

  /** End it for good. */
  close() {
    clearTimeout(this.#timer);
    this.#discard();
    this.#become("closed");
  }

  /** Send one line on the data channel, if it is open. */
  say(message) {
    if (this.channel?.readyState !== "open") return false;
    this.channel.send(JSON.stringify(message));
    return true;
  }

  #openChannel(pc) {
    const channel = pc.createDataChannel(CHANNEL, { ordered: false, maxRetransmits: 0 });
    this.channel = channel;
    channel.onopen = () => this.channel === channel && this.#tell("channel", {});
    channel.onmessage = ({ data }) => this.channel === channel && this.#tell("control", { text: data });
  }

  #changed(pc) {
    if (pc.connectionState === "connected") {
      clearTimeout(this.#timer);
      this.#attempt = 0;
      this.#become("connected");
    } else if (pc.connectionState === "disconnected") {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#again(), DISCONNECTED_MS);
      this.#become("reconnecting");
    } else if (pc.connectionState === "failed" || pc.connectionState === "closed") {
      this.#become("reconnecting");
      clearTimeout(this.#timer);
      // The first time at once; a connection that fails again and again is not hammered on.
      const wait = this.#attempt === 0 ? 0 : Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.#attempt);
      this.#timer = setTimeout(() => this.#again(), wait);
    }
  }

  #again() {
    this.#attempt += 1;
    this.#become("reconnecting");
    this.open();
  }

  #trickle(candidate) {
    if (candidate?.candidate) {
      this.#send({ type: "candidate", candidate: candidate.candidate, mid: candidate.sdpMid ?? "", of: this.of });
    }
  }

  async #add(pc, candidate) {
    try {
      await pc.addIceCandidate(candidate);
    } catch (error) {
      console.warn("a candidate of the node was left:", error.name);
    }
  }

  #discard() {
    const old = this.pc;
    this.pc = null;
    this.channel = null;
    old?.close();
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.#tell("state", { state });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
