// When video has to rest so that speech gets through: decided from the receiver's reports alone. Pure.

const LOST = 0.2;
const LATE_S = 1;
const CLEAN = 0.05;
const STRIKES = 2;
const FIRST_WAIT_MS = 4000;
const LONGEST_WAIT_MS = 32_000;
// A pause sooner than this after a return says that the return was a mistake.
const REGRET_MS = 12_000;

/** Watch one uplink. A browser lets its video take what the link has, also from speech; this stops it after two reports
 * in a row that tell of heavy loss or of a queue, and tries again after a clean while, ever later when that fails. */
export class UplinkGuard {
  saving = false;
  #floor = Infinity;
  #strikes = 0;
  #seenAt = 0;
  #since = -Infinity;
  #wait = FIRST_WAIT_MS;

  /** Take a reading of `sent` (stats.js) at `now` (ms, monotonic); tell whether video should rest. */
  look(now, figures) {
    const { loss, reportedAt, reportedRoundTrip } = figures;
    if (!(reportedAt > this.#seenAt)) return this.#act(now, null);
    this.#seenAt = reportedAt;
    if (reportedRoundTrip < this.#floor) this.#floor = reportedRoundTrip;
    const late = reportedRoundTrip > this.#floor + LATE_S;
    if (loss > LOST || late) return this.#act(now, "bad");
    return this.#act(now, loss > CLEAN ? null : "clean");
  }

  #act(now, news) {
    if (this.saving) {
      if (news === "bad") this.#since = now;
      else if (news === "clean" && now - this.#since >= this.#wait) this.#switch(now, false);
    } else if (news === "bad") {
      this.#strikes += 1;
      if (this.#strikes >= STRIKES) this.#pause(now);
    } else if (news === "clean") {
      this.#strikes = 0;
    }
    return this.saving;
  }

  #pause(now) {
    const regretted = now - this.#since < REGRET_MS;
    this.#wait = regretted ? Math.min(LONGEST_WAIT_MS, this.#wait * 2) : FIRST_WAIT_MS;
    this.#switch(now, true);
  }

  #switch(now, saving) {
    this.saving = saving;
    this.#since = now;
    this.#strikes = 0;
  }
}
