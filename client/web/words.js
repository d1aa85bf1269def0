// What the page says: pure functions from states and figures to words. No DOM, no clock, no network.

const SHOWN = {
  real: "real video",
  synth: "synthetic",
  returning: "real video is coming back",
  still: "mouth at rest, not real",
  waiting: "waiting for video",
  plain: "video, not filtered",
  reconnecting: "reconnecting",
};

const TIMED = new Set(["synth", "still"]);

/** Say a duration as people do: "4 s", "2 min 5 s". */
export function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Say what is shown, and for how long it has not been real where it is not: "synthetic since 4 s". */
export function shown(state, notRealMs = 0) {
  return TIMED.has(state) ? `${SHOWN[state]} since ${duration(notRealMs)}` : SHOWN[state];
}

/** Say what is shown without figures, for a screen reader. */
export function shownBriefly(state) {
  return state === "synth" ? "synthetic, AI-generated video" : SHOWN[state];
}

/** The steps of the uplink slider, kbit/s; -1 is no limit. */
export const UPLINK_STEPS = [0, 40, 60, 100, 300, 2000, -1];

/** Say a step of the uplink slider. */
export function uplink(kbps) {
  if (kbps < 0) return "unlimited";
  return kbps === 0 ? "0 kbit/s, nothing gets through" : `${kbps} kbit/s`;
}

/** Tell why camera or microphone could not be opened, and what to do.
 * @param {string} name of the DOMException
 * @param {string} what "camera", "microphone" or "camera and microphone" */
export function mediaProblem(name, what) {
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return `The browser keeps this page from your ${what}. Allow it at the lock beside the address, then try again.`;
    case "NotFoundError":
    case "OverconstrainedError":
      return `No ${what} was found. Plug one in and it will appear here, or join without.`;
    case "NotReadableError":
    case "AbortError":
      return `The ${what} cannot be read. Another program may be using it: close that one, then try again.`;
    default:
      return `The ${what} could not be opened (${name}). Try again, or pick another.`;
  }
}

/** Say that browsers give no camera here, and how to get one. */
export function insecure(port) {
  return (
    "Browsers give camera and microphone only to pages over https or from localhost. On the machine that runs lipline " +
    `open http://localhost:${port || 80}/ instead; for others, start "lipline serve" with a certificate.`
  );
}

const ROOM_PROBLEMS = {
  "bad-token": "The token does not open this room. Ask whoever runs it for the link.",
  "room-full": "The room is full. Try again when somebody has left.",
  "server-full": "The server has no space for another room. Try again later.",
  "role-taken": "Your place in this room is taken.",
  "bad-message": "The server did not accept this room or name. Use letters, digits, dots and dashes for the room.",
  replaced: "This call goes on in another window.",
  "unsupported-version": "This page and the server do not fit. Reload the page.",
};

/** Say why the server refused, or "" where another try may help. */
export function roomProblem(code) {
  return ROOM_PROBLEMS[code] ?? "";
}

/** Say a rate: "48 kbit/s", "1.2 Mbit/s". */
export function rate(bitsPerSecond) {
  if (!Number.isFinite(bitsPerSecond)) return "–";
  if (bitsPerSecond < 999_500) return `${Math.round(bitsPerSecond / 1000)} kbit/s`;
  return `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`;
}

/** Say a share of 1: "0 %", "0.4 %", "12 %". */
export function share(value) {
  if (!Number.isFinite(value)) return "–";
  const percent = value * 100;
  return percent > 0 && percent < 10 ? `${percent.toFixed(1)} %` : `${Math.round(percent)} %`;
}

/** Say milliseconds: "34 ms". */
export function milliseconds(value) {
  return Number.isFinite(value) ? `${Math.round(value)} ms` : "–";
}
