// A worker that ticks: timers of a page in the background run once a second, those of a worker do not.
onmessage = ({ data }) => setInterval(() => postMessage(0), data);
