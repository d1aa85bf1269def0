// The picture that others see while the camera is off. It is sent as video: were nothing sent, the node would take
// that for an outage and go on showing a face that its owner just took away.

// As often as a camera: the node takes a much slower picture for a link that fails.
const TICK_MS = 40;

/** Make a video track that says "Camera off", and what stops it.
 * @param {number} width
 * @param {number} height
 * @returns {{track: MediaStreamTrack, stop: () => void}} */
export function cameraOffCard(width = 640, height = 480) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "#1b1d23";
  context.fillRect(0, 0, width, height);
  drawSlashedCamera(context, width / 2, height * 0.44, height * 0.11);
  context.fillStyle = "#c9ccd6";
  context.textAlign = "center";
  context.font = `${Math.round(height * 0.06)}px system-ui, sans-serif`;
  context.fillText("Camera off", width / 2, height * 0.67);
  const ticker = new Worker(new URL("ticker.js", import.meta.url));
  let tick = 0;
  ticker.onmessage = () => {
    // A canvas is only captured when it changes.
    context.fillStyle = tick++ % 2 ? "#1c1e24" : "#1a1c22";
    context.fillRect(0, 0, 2, 2);
  };
  ticker.postMessage(TICK_MS);
  const [track] = canvas.captureStream(1000 / TICK_MS).getVideoTracks();
  const stop = () => {
    ticker.terminate();
    track.stop();
  };
  return { track, stop };
}

function drawSlashedCamera(context, x, y, size) {
  context.save();
  context.translate(x, y);
  context.lineWidth = size * 0.16;
  context.lineJoin = context.lineCap = "round";
  context.strokeStyle = "#c9ccd6";
  context.beginPath();
  context.roundRect(-size * 1.05, -size * 0.65, size * 1.4, size * 1.3, size * 0.2);
  context.moveTo(size * 0.35, -size * 0.15);
  context.lineTo(size * 1.05, -size * 0.55);
  context.lineTo(size * 1.05, size * 0.55);
  context.lineTo(size * 0.35, size * 0.15);
  context.stroke();
  for (const [colour, width] of [["#1b1d23", 0.5], ["#c9ccd6", 0.16]]) {
    context.strokeStyle = colour;
    context.lineWidth = size * width;
    context.beginPath();
    context.moveTo(-size * 1.1, -size * 1.05);
    context.lineTo(size * 1.1, size * 1.05);
    context.stroke();
  }
  context.restore();
}
