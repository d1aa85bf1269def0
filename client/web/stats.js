// Figures from getStats(), in the names of W3C webrtc-stats; rates are taken between two readings.

/** @typedef {Map<string, object>|RTCStatsReport} Reading */

/** Sum what a reading says of what is sent.
 * @param {Reading} reading
 * @param {object|null} before what this function gave for the reading before
 * @returns {object} times in seconds, rates in bit/s, loss as a share of 1, NaN where unknown; `reported...` is the
 *   worse of the receiver's reports on sound and picture */
export function sent(reading, before) {
  const now = { at: 0, bytes: 0, roundTrip: NaN, loss: NaN, reportedAt: 0, reportedRoundTrip: NaN };
  for (const entry of reading.values()) {
    if (entry.type === "outbound-rtp") {
      now.at = entry.timestamp / 1000;
      now.bytes += (entry.bytesSent ?? 0) + (entry.headerBytesSent ?? 0);
    } else if (entry.type === "remote-inbound-rtp") {
      addReport(now, entry);
    } else if (isPair(entry)) {
      now.roundTrip = entry.currentRoundTripTime ?? NaN;
    }
  }
  return { ...now, rate: perSecond(now, before) };
}

function addReport(now, entry) {
  now.reportedAt = Math.max(now.reportedAt, entry.timestamp / 1000);
  now.loss = worst(now.loss, entry.fractionLost);
  now.reportedRoundTrip = worst(now.reportedRoundTrip, entry.roundTripTime);
}

function worst(known, another = NaN) {
  if (Number.isNaN(known)) return another;
  return Number.isNaN(another) ? known : Math.max(known, another);
}

/** Sum what a reading says of what is received; arguments and units as in `sent`. */
export function received(reading, before) {
  const now = {
    at: 0, bytes: 0, packets: 0, lost: 0, roundTrip: NaN, framesDecoded: 0, freezeCount: 0, totalFreezesDuration: 0,
    videoDelay: NaN, audioDelay: NaN, concealed: NaN, width: 0, height: 0,
  };
  for (const entry of reading.values()) {
    if (entry.type === "inbound-rtp") addInbound(now, entry);
    else if (isPair(entry)) now.roundTrip = entry.currentRoundTripTime ?? NaN;
  }
  const packets = now.packets - (before?.packets ?? 0);
  const lost = Math.max(0, now.lost - (before?.lost ?? 0));
  return { ...now, rate: perSecond(now, before), loss: packets + lost > 0 ? lost / (packets + lost) : NaN };
}

function addInbound(now, entry) {
  now.at = entry.timestamp / 1000;
  now.bytes += (entry.bytesReceived ?? 0) + (entry.headerBytesReceived ?? 0);
  now.packets += entry.packetsReceived ?? 0;
  now.lost += entry.packetsLost ?? 0;
  const delay = entry.jitterBufferEmittedCount ? entry.jitterBufferDelay / entry.jitterBufferEmittedCount : NaN;
  if (entry.kind === "video") {
    now.videoDelay = delay;
    now.framesDecoded = entry.framesDecoded ?? 0;
    now.freezeCount = entry.freezeCount ?? 0;
    now.totalFreezesDuration = entry.totalFreezesDuration ?? 0;
    now.width = entry.frameWidth ?? 0;
    now.height = entry.frameHeight ?? 0;
  } else {
    now.audioDelay = delay;
    now.concealed = entry.totalSamplesReceived ? entry.concealedSamples / entry.totalSamplesReceived : NaN;
  }
}

function isPair(entry) {
  return entry.type === "candidate-pair" && entry.nominated && entry.state === "succeeded";
}

function perSecond(now, before) {
  // A new connection counts from 0 again.
  if (!before || now.at <= before.at || now.bytes < before.bytes) return NaN;
  return ((now.bytes - before.bytes) * 8) / (now.at - before.at);
}
