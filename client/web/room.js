// The room in the address bar, and the secret that gets a lost seat back.

const ROOM = /^[A-Za-z0-9._-]{1,64}$/;
const SESSION_KEY = "lipline.session";

/** Tell whether the server would take this room name. */
export function validRoom(name) {
  return ROOM.test(name);
}

/** Read room and token from an address: `/?room=NAME#token=TOKEN`. Missing parts are "".
 * The token stands behind the #, which browsers do not send to any server. */
export function readAddress(href) {
  const url = new URL(href);
  const token = new URLSearchParams(url.hash.slice(1)).get("token") ?? "";
  return { room: url.searchParams.get("room") ?? "", token };
}

/** Make the address that lets others into the room. */
export function shareLink(href, room, token) {
  const url = new URL("/", href);
  url.searchParams.set("room", room);
  url.hash = new URLSearchParams({ token }).toString();
  return url.href;
}

/** Make the address of the signaling server that gave this page. */
export function signalingAddress(href) {
  const url = new URL("/", href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** Make a session: 32 characters, 192 random bits. */
export function newSession() {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

/** Return this tab's session for a room. A reload keeps it; a duplicated tab, which inherits the storage of the first,
 * makes its own: two tabs with one session would throw each other out. Held until the page goes. */
export async function tabSession(room) {
  const key = `${SESSION_KEY}.${room}`;
  let session = sessionStorage.getItem(key);
  if (!session || !(await hold(session))) {
    session = newSession();
    await hold(session);
    sessionStorage.setItem(key, session);
  }
  return session;
}

const held = new Set();

/** Lock a session for this tab; false if another tab has it. */
function hold(session) {
  if (held.has(session) || !navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    navigator.locks.request(`${SESSION_KEY}.${session}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      if (lock === null) return undefined;
      held.add(session);
      return new Promise(() => {}); // never settled: the browser lets go when the page goes
    });
  });
}
