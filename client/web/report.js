// What the node says that it shows of somebody. Pure.

/** What the node shows of somebody, as it reports it on the data channel, or as the page sees it.
 * @typedef {"real"|"synth"|"returning"|"still"|"waiting"|"plain"|"reconnecting"} Shown */

/** @typedef {{state: Shown, since_ms: number, concealed: number, skew_ms: number}} Report */

const STALE_MS = 3000;
const GENERATED = new Set(["synth", "still"]);

/** Read a data-channel message of the node; null unless it is a well-formed "output" report.
 * @returns {(Report & {you: boolean})|null} */
export function readReport(text) {
  if (typeof text !== "string" || text.length > 2048) return null;
  let payload;
  try {
    payload = JSON.parse(text);
  } catch {
    return null;
  }
  if (payload === null || typeof payload !== "object" || payload.type !== "output") return null;
  if (!["real", "synth", "returning", "still", "waiting"].includes(payload.state)) return null;
  const number = (value) => (Number.isFinite(value) ? value : 0);
  return {
    state: payload.state,
    since_ms: Math.max(0, number(payload.since_ms)),
    concealed: Math.min(1, Math.max(0, number(payload.concealed))),
    skew_ms: number(payload.skew_ms),
    you: payload.you === true,
  };
}

/** Tell what is to be shown for a remote person: the node's word while it is fresh, else what the page can see.
 * @param {{connected: boolean, report: Report|null, reportAgeMs: number, framesFlow: boolean}} seen
 * @returns {Shown} */
export function remoteState({ connected, report, reportAgeMs, framesFlow }) {
  if (!connected) return "reconnecting";
  if (report && reportAgeMs < STALE_MS) return report.state;
  return framesFlow ? "plain" : "waiting";
}

/** Remember the newest report about one person, and since when the picture has not been real. */
export class ReportLog {
  /** @type {Report|null} */ newest = null;
  #at = -Infinity;
  #notRealSince = null;

  /** Take a report that came at `now` (ms, monotonic). Between "synth" and "still" the count goes on: a pause for breath
   * makes no picture real. */
  take(report, now) {
    if (!GENERATED.has(report.state)) this.#notRealSince = null;
    else if (this.#notRealSince === null || now - this.#at > STALE_MS) this.#notRealSince = now - report.since_ms;
    this.newest = report;
    this.#at = now;
  }

  /** How old the newest report is, ms. */
  ageMs(now) {
    return now - this.#at;
  }

  /** For how long the picture has not been real, ms; 0 while it is. */
  notRealMs(now) {
    return this.#notRealSince === null ? 0 : now - this.#notRealSince;
  }
}
