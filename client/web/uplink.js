// When video has to rest so that speech gets through, and when it may come back. Pure.

const LOST = 0.2;
const LATE_S = 1;
const CLEAN = 0.05;
const STRIKES = 2;
// Two pings make a measurement: one bare, one with filling. How much longer the second takes is its size over the rate.
const FILLING = 1000;
// 200 kbit/s and more: what speech and the smallest video that a browser sends (publish.js) take.
const RISE_MS = 40;
const QUEUE_MS = 300;
const MEASUREMENTS = 4;
const NEXT_MS = 200;
const ANSWER_MS = 1000;
const FIRST_BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 2000;
const SETTLE_MS = 500;
// A node that says nothing (one that forwards as it is) answers no pings either: then video is tried after so long.
const BLIND_MS = 8000;
// A pause sooner than this after a return says that the return was a mistake.
const REGRET_MS = 12_000;
const FIRST_WAIT_MS = 2000;
const LONGEST_WAIT_MS = 32_000;

/** Watch one uplink. A browser lets its video take what the link has, also from speech; this stops it after two reports
 * in a row that tell of heavy loss or of a queue. While it rests, the link is measured with pings, so that a link that
 * stays narrow is not tried with video. Times are ms, monotonic. */
export class UplinkGuard {
  saving = false;
  /** Whether the node speaks to us, and so answers pings. */
  answered = false;
  #floor = Infinity;
  #strikes = 0;
  #seenAt = 0;
  #since = -Infinity;
  #wait = FIRST_WAIT_MS;
  #number = 0;
  #notBefore = 0;
  #backoff = FIRST_BACKOFF_MS;
  /** The ping that is not answered yet: {n, at, pad}. */
  #open = null;
  /** Round trips of the last measurements, ms: [bare, filled]. */
  #measured = [];
  #bare = 0;

  /** Take a reading of `sent` (stats.js); tell whether video should rest. */
  look(now, { loss, reportedAt, reportedRoundTrip }) {
    if (!(reportedAt > this.#seenAt)) return this.saving;
    this.#seenAt = reportedAt;
    if (reportedRoundTrip < this.#floor) this.#floor = reportedRoundTrip;
    const late = reportedRoundTrip > this.#floor + LATE_S;
    if (loss > LOST || late) this.#strikes += 1;
    else if (loss <= CLEAN) this.#strikes = 0;
    if (!this.saving && this.#strikes >= STRIKES) this.#pause(now);
    return this.saving;
  }

  /** Give the ping that is due, {n, pad: bytes of filling}, or null; call it some ten times a second. */
  ping(now) {
    if (!this.saving) return null;
    if (this.#open && now - this.#open.at > ANSWER_MS) this.#failed(now);
    if (this.#open || now < this.#notBefore) return null;
    if (this.answered || now - this.#since < BLIND_MS) return this.#send(now, 0);
    this.#switch(now, false);
    return null;
  }

  /** Take the answer to ping `n`; give the ping to send at once, or null. `saving` may be false after it. */
  pong(now, n) {
    if (!this.saving || this.#open?.n !== n) return null;
    this.answered = true;
    const { at, pad } = this.#open;
    this.#open = null;
    if (pad === 0) {
      this.#bare = now - at;
      return this.#send(now, FILLING);
    }
    this.#measured = [...this.#measured, [this.#bare, now - at]].slice(-MEASUREMENTS);
    this.#judge(now);
    return null;
  }

  #send(now, pad) {
    this.#number += 1;
    this.#open = { n: this.#number, at: now, pad };
    return { n: this.#number, pad };
  }

  /** A busy machine only ever adds to a round trip: the least of each kind tells of the link. */
  #judge(now) {
    const bare = Math.min(...this.#measured.map(([each]) => each));
    const filled = Math.min(...this.#measured.map(([, each]) => each));
    const enough = this.#measured.length === MEASUREMENTS;
    const queued = Number.isFinite(this.#floor) && bare > this.#floor * 1000 + QUEUE_MS;
    // Twice the limit is no noise of a busy machine any more: a narrow link is spared the other measurements.
    if (queued || filled - bare > (enough ? 1 : 2) * RISE_MS) this.#failed(now);
    else if (enough) this.#switch(now, false);
    else this.#notBefore = now + NEXT_MS;
  }

  #failed(now) {
    this.#open = null;
    this.#measured = [];
    this.#notBefore = now + this.#backoff;
    this.#backoff = Math.min(LONGEST_BACKOFF_MS, this.#backoff * 2);
  }

  #pause(now) {
    const regretted = now - this.#since < REGRET_MS;
    this.#switch(now, true);
    this.#notBefore = now + (regretted ? this.#wait : SETTLE_MS);
    this.#wait = regretted ? Math.min(LONGEST_WAIT_MS, this.#wait * 2) : FIRST_WAIT_MS;
  }

  #switch(now, saving) {
    this.saving = saving;
    this.#since = now;
    this.#strikes = 0;
    this.#open = null;
    this.#measured = [];
    this.#backoff = FIRST_BACKOFF_MS;
  }
}
