// What comes in: one person, filtered by the node, and the node's word on what it shows.

import { Connection } from "./connection.js";
import { ReportLog, readReport } from "./report.js";

/** Watch the peer `of`. `stream` always holds the tracks of the connection that stands.
 *
 * Events: "state" ({state}) of the connection, "report" (a Report), "stream" (its tracks changed). */
export class Watcher extends EventTarget {
  stream = new MediaStream();
  reports = new ReportLog();

  /** @param {string} of
   * @param {(message: object) => boolean} send */
  constructor(of, send) {
    super();
    this.connection = new Connection(of, send, prepare);
    this.connection.addEventListener("state", ({ detail }) => this.#tell("state", detail));
    this.connection.addEventListener("track", ({ detail }) => this.#gained(detail.track));
    this.connection.addEventListener("control", ({ detail }) => this.#heard(detail.text));
  }

  /** End it for good. */
  close() {
    this.connection.close();
  }

  #gained(track) {
    for (const old of this.stream.getTracks()) {
      if (old.kind === track.kind) this.stream.removeTrack(old);
    }
    this.stream.addTrack(track);
    this.#tell("stream", {});
  }

  #heard(text) {
    const report = readReport(text);
    if (!report || report.you) return;
    this.reports.take(report, performance.now());
    this.#tell("report", report);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function prepare(pc) {
  pc.addTransceiver("audio", { direction: "recvonly" });
  pc.addTransceiver("video", { direction: "recvonly" });
}
