// The page: join, take part, leave. This file ties the parts to the document; each part is in a file of its own.

import { Call } from "./call.js";
import { CameraPanel } from "./camera.js";
import { DeviceControls } from "./devices.js";
import { showReceived, showSent } from "./figures.js";
import { LocalMedia } from "./media.js";
import { readAddress, shareLink, signalingAddress, tabSession, validRoom } from "./room.js";
import { Stage, setText, showState } from "./tiles.js";
import { UPLINK_STEPS, insecure, roomProblem, uplink } from "./words.js";

const NAME_KEY = "lipline.name";
const KEYS_KEY = "lipline.keys";
const LINES = {
  connecting: ["waiting", "connecting"],
  "no-node": ["waiting", "waiting for the room's node"],
  refused: ["waiting", "the room's node takes nobody more"],
  connected: ["real", "connected"],
  reconnecting: ["reconnecting", "reconnecting"],
};

const $ = (selector) => document.querySelector(selector);
const stage = new Stage(announce);
const cameras = new CameraPanel((message) => call?.ask(message), announce);
/** @type {LocalMedia|null} */ let media = null;
/** @type {Call|null} */ let call = null;

function announce(text) {
  $("#announcer").textContent = text;
}

function notice(text) {
  $("#notice").hidden = text === "";
  setText($("#notice span"), text);
}

/** Before the call: fill the form, open the devices. */
async function setUp() {
  const { room, token } = readAddress(location.href);
  $("#room").value = room || "lipline";
  $("#token").value = token;
  $("#token-field").hidden = token !== "";
  $("#name").value = localStorage.getItem(NAME_KEY) ?? "";
  $("#shortcuts").checked = localStorage.getItem(KEYS_KEY) !== "off";
  if (!isSecureContext || !navigator.mediaDevices) {
    notice(insecure(location.port));
    $("#join").disabled = true;
    return;
  }
  media = new LocalMedia();
  const controls = new DeviceControls(media);
  $("#retry").onclick = () => controls.open();
  await controls.open();
}

async function join(event) {
  event.preventDefault();
  if (!media || call) return;
  const [name, room, token] = ["#name", "#room", "#token"].map((id) => $(id).value.trim());
  const problem = missing(room, token);
  notice(problem);
  if (problem) return;
  localStorage.setItem(NAME_KEY, name);
  history.replaceState(null, "", shareLink(location.href, room, token));
  media.wake();
  $("#join").disabled = true;
  const session = await tabSession(room);
  $("#join").disabled = false;
  call = new Call(signalingAddress(location.href), { room, token, name, session }, media);
  follow(call);
  enter(room);
  call.open();
}

function missing(room, token) {
  if (!validRoom(room)) return "A room's name has letters, digits, dots, dashes or underscores, at most 64.";
  if (token === "") return "A token is missing: it is in the link that lipline serve printed, or in one shared with you.";
  return "";
}

/** Show what happens in a call. */
function follow(current) {
  current.addEventListener("line", ({ detail }) => showLine(detail.line));
  current.addEventListener("came", ({ detail }) => {
    stage.add(detail.person);
    announce(`${detail.person.name} is here`);
  });
  current.addEventListener("left", ({ detail }) => {
    stage.remove(detail.person);
    announce(`${detail.person.name} left`);
  });
  current.addEventListener("you", () => {
    showState($("#you"), current.seen.newest.state, current.seen.notRealMs(performance.now()));
  });
  current.addEventListener("figures", () => {
    stage.refresh();
    if (!$("#network").open) return;
    showSent(current.figures);
    showReceived([...current.people.values()]);
  });
  current.addEventListener("saving", ({ detail }) => {
    $("#saving").hidden = !detail.saving;
    announce(detail.saving ? "The line is too narrow for your video" : "Your video is sent again");
  });
  current.addEventListener("room", ({ detail }) => cameras.room(detail.peers));
  current.addEventListener("message", ({ detail }) => cameras.take(detail.message));
  current.addEventListener("refused", ({ detail }) => leave(roomProblem(detail.code)));
}

function enter(room) {
  $("#setup").hidden = true;
  $("#call").hidden = $("#room-bar").hidden = false;
  setText($("#room-name"), room);
  document.title = `${room} – lipline`;
  showLine("connecting");
  showState($("#you"), "waiting");
  showSent(null);
  showReceived([]);
  press("#mute", media.muted);
  press("#camera-off", media.cameraOff);
  press("#pause", false);
  $("#pause").disabled = media.cameraOff;
  setUplink(UPLINK_STEPS.length - 1);
  $("#saving").hidden = true;
  $("#call-title").focus();
}

function leave(problem = "") {
  call?.close();
  call = null;
  stage.clear();
  cameras.clear();
  media.rest();
  $("#call").hidden = $("#room-bar").hidden = true;
  $("#setup").hidden = false;
  $("#token-field").hidden = $("#token").value !== "" && problem === "";
  document.title = "lipline";
  notice(problem);
  announce(problem ? "" : "You left the call");
  $("#setup-title").focus();
}

function showLine(line) {
  const [sign, words] = LINES[line];
  $("#line").dataset.state = sign;
  $("#line use").setAttribute("href", `#s-${sign}`);
  setText($("#line span"), words);
  if (line === "reconnecting" || line === "connected") announce(words);
}

function press(selector, pressed) {
  $(selector).setAttribute("aria-pressed", String(pressed));
}

function mute() {
  media.mute(!media.muted);
  press("#mute", media.muted);
  $("#mute use").setAttribute("href", media.muted ? "#i-mic-off" : "#i-mic");
}

async function pause() {
  if (!call || media.cameraOff) return;
  press("#pause", !call.paused);
  await call.pause(!call.paused);
}

async function switchCamera() {
  const off = !media.cameraOff;
  press("#camera-off", off);
  $("#camera-off use").setAttribute("href", off ? "#i-camera-off" : "#i-camera");
  // A paused picture would go on as a synthetic face: the camera's switch is stronger.
  press("#pause", false);
  $("#pause").disabled = off;
  await media.switchCamera(off);
}

function setUplink(step) {
  $("#uplink").value = String(step);
  const words = uplink(UPLINK_STEPS[step]);
  setText($("#uplink-value"), words);
  $("#uplink").setAttribute("aria-valuetext", words);
  $("#uplink").dataset.limited = UPLINK_STEPS[step] < 0 ? "no" : "yes";
}

async function copyLink() {
  const label = $("#copy span");
  try {
    await navigator.clipboard.writeText(shareLink(location.href, $("#room-name").textContent, $("#token").value.trim()));
    setText(label, "Link copied");
    announce("Link copied");
  } catch {
    setText(label, "Copy the address bar");
  }
  setTimeout(() => setText(label, "Copy room link"), 2500);
}

function pressKey(event) {
  const typing = event.target.closest?.("input:not([type=range], [type=checkbox]), select, textarea");
  if (!call || typing || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  if (!$("#shortcuts").checked) return;
  const action = { m: mute, v: pause, l: () => leave() }[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
}

$("#form").onsubmit = join;
$("#mute").onclick = mute;
$("#pause").onclick = pause;
$("#camera-off").onclick = switchCamera;
$("#leave").onclick = () => leave();
$("#copy").onclick = copyLink;
$("#uplink").oninput = ({ target }) => {
  setUplink(Number(target.value));
  call?.tryUplink(UPLINK_STEPS[Number(target.value)]);
};
$("#shortcuts").onchange = ({ target }) => localStorage.setItem(KEYS_KEY, target.checked ? "on" : "off");
$("#network").ontoggle = () => {
  if (!call) return;
  showSent(call.figures);
  showReceived([...call.people.values()]);
};
addEventListener("keydown", pressKey);
await setUp();
