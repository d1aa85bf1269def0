// The network figures as a list and a table. Nothing here is read out by itself.

import { setText } from "./tiles.js";
import { milliseconds, rate, share } from "./words.js";

const OUT = [
  ["Round trip", (out) => milliseconds(out.roundTrip * 1000)],
  ["Sending", (out) => rate(out.rate)],
  ["Lost on the way", (out) => share(out.loss)],
];

const IN = [
  ["Round trip", ({ figures }) => milliseconds(figures.roundTrip * 1000)],
  ["Rate", ({ figures }) => rate(figures.rate)],
  ["Lost", ({ figures }) => share(figures.loss)],
  ["Picture", ({ figures }) => (figures.width ? `${figures.width} × ${figures.height}` : "–")],
  ["Video buffer", ({ figures }) => milliseconds(figures.videoDelay * 1000), "jitterBufferDelay a frame"],
  ["Sound buffer", ({ figures }) => milliseconds(figures.audioDelay * 1000), "jitterBufferDelay a sample"],
  ["Frames decoded", ({ figures }) => String(figures.framesDecoded), "framesDecoded"],
  ["Freezes", ({ figures }) => String(figures.freezeCount), "freezeCount"],
  ["Frozen", ({ figures }) => `${figures.totalFreezesDuration.toFixed(1)} s`, "totalFreezesDuration"],
  ["Sound filled in here", ({ figures }) => share(figures.concealed), "concealedSamples of all, since the start"],
  ["Sound filled in before", ({ watcher }) => share(watcher.reports.newest?.concealed ?? NaN), "by the node, last second"],
  ["Picture against sound", ({ watcher }) => milliseconds(watcher.reports.newest?.skew_ms ?? NaN), "avSkew at the node"],
];

/** Show what goes out. @param {object|null} out */
export function showSent(out) {
  const list = document.querySelector("#out");
  if (list.children.length === 0) {
    for (const [label] of OUT) list.append(element("dt", label), element("dd", "–"));
  }
  const values = list.querySelectorAll("dd");
  OUT.forEach(([, of], index) => setText(values[index], out ? of(out) : "–"));
}

/** Show what comes in, a column a person. @param {import("./call.js").Person[]} people */
export function showReceived(people) {
  document.querySelector("#in-region").hidden = people.length === 0;
  const head = document.querySelector("#in-head");
  const body = document.querySelector("#in");
  const key = people.map(({ id }) => id).join(" ");
  if (body.dataset.people !== key) {
    body.dataset.people = key;
    while (head.children.length > 1) head.lastElementChild.remove();
    for (const { name } of people) head.append(Object.assign(element("th", name), { scope: "col" }));
    body.replaceChildren(...IN.map(([label, , hint]) => row(label, hint, people.length)));
  }
  IN.forEach(([, of], index) => {
    people.forEach((person, column) => {
      setText(body.children[index].children[column + 1], person.figures ? of(person) : "–");
    });
  });
}

function row(label, hint, columns) {
  const line = document.createElement("tr");
  const head = Object.assign(element("th", label), { scope: "row" });
  if (hint) head.append(Object.assign(element("span", hint), { className: "note" }));
  line.append(head, ...Array.from({ length: columns }, () => element("td", "–")));
  return line;
}

function element(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}
