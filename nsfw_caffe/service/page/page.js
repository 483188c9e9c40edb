// Pictures go to the service, a few at a time; the rest happens here. Nothing is stored, in cookies or otherwise.
// A file's name may be hostile: names and messages are set as text, never as HTML.

const AT_ONCE = 4; // requests; a browser holds back all but six to one host anyway
const MOST_TRIES = 30; // where the service is busy
const LONGEST_WAIT = 60; // seconds, whatever the service says
const BLURRED = 8; // pixels a side: before a picture is asked for, no more of it is in the page
const UPDATE = 300; // milliseconds between two texts for the live region
const LEGEND = "Red: parts that by themselves would score above one half. Blue: below.";
const NOT_SCORES = ["score", "name"]; // of an answer; all else says what made the score

const find = (id) => document.getElementById(id);
const pictures = new Set();

// Requests: a queue, a few under way, all of them held back while the service is busy or wants a key.

const queue = [];
let underWay = 0;
let busyUntil = 0;
let key = "";
let keyAsked = null;

function enqueue(job) {
  queue.push(job);
  startJobs();
}

function startJobs() {
  while (underWay < AT_ONCE && queue.length) {
    underWay += 1;
    queue.shift()().finally(() => {
      underWay -= 1;
      startJobs();
    });
  }
}

/** Send a picture; the answer is one that stands: neither "busy" nor "give a key". */
async function post(path, picture, accept) {
  for (let tries = 1; ; tries += 1) {
    await untilFree();
    picture.leaving.signal.throwIfAborted();
    const sent = key;
    const response = await fetch(path, {
      method: "POST",
      body: picture.file,
      headers: requestHeaders(accept),
      signal: picture.leaving.signal,
      cache: "no-store",
    });
    if (response.status === 401) await newKey(sent);
    else if (response.status !== 503 || tries === MOST_TRIES) return response;
    else holdBack(response.headers.get("Retry-After"));
  }
}

function requestHeaders(accept) {
  // Whatever the file's own type is: it is content to score, not JSON or a form for the service to read.
  const headers = { "Content-Type": "application/octet-stream", Accept: accept };
  if (key) headers.Authorization = `Bearer ${key}`;
  return headers;
}

function holdBack(retryAfter) {
  const seconds = Math.min(Math.max(Number.parseInt(retryAfter, 10) || 1, 1), LONGEST_WAIT);
  busyUntil = Math.max(busyUntil, Date.now() + seconds * 1000);
  tellSoon();
}

async function untilFree() {
  while (Date.now() < busyUntil) {
    await new Promise((resolve) => { setTimeout(resolve, busyUntil - Date.now()); });
  }
}

/** Wait for a key other than the one that was refused. */
async function newKey(refused) {
  if (refused !== key) return;
  if (!keyAsked) {
    keyAsked = {};
    keyAsked.given = new Promise((resolve) => { keyAsked.resolve = resolve; });
    find("key").hidden = false;
    find("key-asked").textContent = refused
      ? "The service does not accept this key."
      : "This service wants an API key before it scores.";
    tellSoon();
  }
  await keyAsked.given;
}

function useKey(event) {
  event.preventDefault();
  key = find("key-field").value.trim();
  find("key").hidden = true;
  find("key-asked").textContent = "";
  find("key-field").value = "";
  find("files").focus();
  keyAsked?.resolve();
  keyAsked = null;
  tellSoon();
}

/** Return what an answer that is no success says, in words. */
async function refusal(response) {
  const answer = await response.json().catch(() => null);
  return sentence(answer?.error?.message || `the service answered with status ${response.status}`);
}

/** Return why a request got no answer, in words. */
async function failure(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    return "This file cannot be read. If it is a folder, drop the files that are in it.";
  }
  return "The service does not answer. It may have stopped, or the file is larger than it takes.";
}

function sentence(text) {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

// Pictures: each is a card of the list.

class Picture {
  constructor(file) {
    this.file = file;
    this.name = file.name || "pasted picture";
    this.leaving = new AbortController();
    this.card = find("card").content.firstElementChild.cloneNode(true);
    this.view = "blurred"; // or "picture", or "heat map"
    this.heatMap = null;
    this.url = null;
    this.tick = null;
    this.part("bdi").textContent = this.name;
    for (const button of this.card.querySelectorAll("button")) this.nameButton(button);
    this.part(".show").addEventListener("click", () => this.toggle());
    this.part(".heat").addEventListener("click", () => this.toggleHeatMap());
    this.part(".again").addEventListener("click", () => this.tryAgain());
    this.part(".remove").addEventListener("click", () => removeOne(this));
    this.part("img").addEventListener("error", () => this.showNone());
    this.wait();
  }

  part(selector) {
    return this.card.querySelector(selector);
  }

  nameButton(button) {
    button.setAttribute("aria-label", `${button.textContent} ${this.name}`);
  }

  wait() {
    this.state = "waiting";
    this.score = null;
    this.error = "";
    this.answer = {};
    this.note("Waiting");
    enqueue(() => this.work());
  }

  async work() {
    if (this.leaving.signal.aborted) return;
    this.note("Scoring");
    await Promise.all([this.blur(), this.getScore()]);
    tellSoon();
  }

  note(text, isError = false) {
    const note = this.part(".note");
    note.textContent = text;
    note.hidden = !text;
    note.classList.toggle("error", isError);
  }

  async blur() {
    const context = this.part("canvas").getContext("2d");
    try {
      // Decoded once, outside the page's thread, and small at once: 200 large photos take little time and memory.
      const small = await createImageBitmap(this.file, { resizeWidth: BLURRED, resizeHeight: BLURRED });
      context.drawImage(small, 0, 0, BLURRED, BLURRED);
      small.close();
    } catch {
      this.showNone();
    }
  }

  showNone() {
    if (this.view === "heat map") return;
    this.part(".none").hidden = false;
    this.part(".show").hidden = true;
    this.part("img").hidden = true;
  }

  async getScore() {
    try {
      const response = await post("v1/score", this, "application/json");
      if (response.ok) this.setScore(await response.json());
      else this.fail(await refusal(response), response.status !== 422);
    } catch {
      if (!this.leaving.signal.aborted) this.fail(await failure(this.file), true);
    }
  }

  setScore(answer) {
    this.state = "scored";
    this.answer = answer;
    this.score = answer.score;
    const data = this.part("data");
    data.value = data.title = String(this.score);
    data.textContent = this.score.toFixed(4);
    this.part(".outcome").hidden = false;
    this.note("");
    this.part(".heat").hidden = false;
    this.tick = addTick(this.score);
    tellProvenance(answer);
    judge();
  }

  fail(error, mayTryAgain) {
    this.state = "failed";
    this.error = error;
    this.note(error, true);
    this.part(".again").hidden = !mayTryAgain;
  }

  tryAgain() {
    this.part(".again").hidden = true;
    this.part(".remove").focus();
    this.wait();
    tellSoon();
  }

  setVerdict(verdict) {
    this.verdict = verdict;
    const label = this.part(".verdict");
    label.textContent = verdict.charAt(0).toUpperCase() + verdict.slice(1);
    label.className = `verdict ${verdict}`;
    this.tick.setAttribute("class", verdict);
  }

  toggle() {
    this.show(this.view === "blurred" ? "picture" : "blurred");
    nameShowAll();
  }

  /** Show what the card is to show: the picture, its heat map, or neither. */
  show(view) {
    this.view = view;
    this.forgetUrl();
    const blob = { picture: this.file, "heat map": this.heatMap }[view];
    const image = this.part("img");
    image.hidden = !blob;
    this.part("canvas").hidden = Boolean(blob);
    if (blob) {
      this.url = URL.createObjectURL(blob);
      image.src = this.url;
      image.alt = view === "picture" ? this.name : heatMapAlt(this);
    } else image.removeAttribute("src");
    this.card.classList.toggle("mapped", view === "heat map");
    if (this.state === "scored") this.note(view === "heat map" ? LEGEND : "");
    this.part(".heat").setAttribute("aria-pressed", view === "heat map");
    this.part(".show").textContent = blob ? "Blur" : "Show";
    this.nameButton(this.part(".show"));
  }

  forgetUrl() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
  }

  async toggleHeatMap() {
    if (this.view === "heat map") this.show("picture");
    else if (this.heatMap) this.show("heat map");
    else if (this.part(".heat").getAttribute("aria-busy") !== "true") await this.makeHeatMap();
    nameShowAll();
  }

  async makeHeatMap() {
    const button = this.part(".heat");
    button.setAttribute("aria-busy", "true");
    this.note("Making the heat map");
    try {
      const response = await post("v1/explain", this, "image/png");
      if (!response.ok) return this.note(await refusal(response), true);
      this.heatMap = await response.blob();
      this.note("");
      this.show("heat map");
      say(`Heat map of ${this.name} is shown`);
    } catch {
      if (!this.leaving.signal.aborted) this.note(await failure(this.file), true);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  leave() {
    this.leaving.abort();
    this.forgetUrl();
    this.tick?.remove();
    this.card.remove();
    pictures.delete(this);
  }
}

function heatMapAlt(picture) {
  return `Heat map over ${picture.name}, score ${picture.score.toFixed(4)}. ${LEGEND}`;
}

function add(files) {
  const fresh = Array.from(files, (file) => new Picture(file));
  for (const picture of fresh) pictures.add(picture);
  find("cards").append(...fresh.map((picture) => picture.card));
  afterChange();
}

function removeOne(picture) {
  const next = picture.card.nextElementSibling ?? picture.card.previousElementSibling;
  picture.leave();
  (next?.querySelector(".remove") ?? find("files")).focus();
  afterChange();
}

function clear() {
  for (const picture of pictures) picture.leave();
  find("files").focus();
  afterChange();
}

function showAll() {
  const view = anyBlurred() ? "picture" : "blurred";
  for (const picture of pictures) {
    if ((picture.view === "blurred") !== (view === "blurred")) picture.show(view);
  }
  nameShowAll();
}

function sort() {
  const highestFirst = Array.from(pictures).sort((one, other) => (other.score ?? -1) - (one.score ?? -1));
  find("cards").append(...highestFirst.map((picture) => picture.card));
}

function anyBlurred() {
  return Array.from(pictures).some((picture) => picture.view === "blurred");
}

function nameShowAll() {
  find("show-all").textContent = anyBlurred() ? "Show all" : "Blur all";
}

function afterChange() {
  find("tools").hidden = find("pictures-heading").hidden = !pictures.size;
  nameShowAll();
  judge();
  tell();
}

// Verdicts: two thresholds, and what they make of the scores that are there.

function verdictOf(score) {
  if (score >= find("block").valueAsNumber) return "block";
  return score >= find("review").valueAsNumber ? "review" : "pass";
}

function judge() {
  const counts = { pass: 0, review: 0, block: 0 };
  for (const picture of pictures) {
    if (picture.state !== "scored") continue;
    const verdict = verdictOf(picture.score);
    if (verdict !== picture.verdict) picture.setVerdict(verdict);
    counts[verdict] += 1;
  }
  for (const [verdict, count] of Object.entries(counts)) find(`${verdict}-count`).textContent = count;
  tellSoon();
}

/** Move the other slider along where one has passed it. */
function moveThreshold(moved, other, passed) {
  if (passed) other.value = moved.value;
  const review = find("review").valueAsNumber;
  const block = find("block").valueAsNumber;
  find("review-value").textContent = review.toFixed(2);
  find("block-value").textContent = block.toFixed(2);
  setZone("pass", 0, review);
  setZone("review", review, block);
  setZone("block", block, 1);
  judge();
}

function setZone(verdict, from, to) {
  const zone = find(`${verdict}-zone`);
  zone.setAttribute("x", `${from * 100}%`);
  zone.setAttribute("width", `${Math.max(0, to - from) * 100}%`);
}

function addTick(score) {
  const tick = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  tick.setAttribute("cx", `${score * 100}%`);
  tick.setAttribute("cy", "6");
  tick.setAttribute("r", "4");
  find("ticks").append(tick);
  return tick;
}

// What is told: one text for all that happens, at most a few times a second, so that it can be read aloud.

let telling = null;

function tellSoon() {
  telling ??= setTimeout(() => {
    telling = null;
    tell();
  }, UPDATE);
}

function tell() {
  const states = Array.from(pictures, (picture) => picture.state);
  const failed = states.filter((state) => state === "failed").length;
  const scored = states.filter((state) => state === "scored").length;
  const progress = find("progress");
  progress.max = states.length || 1;
  progress.value = scored + failed;
  progress.hidden = scored + failed === states.length;
  find("status").textContent = states.length ? statusText(states.length, scored, failed) : "";
}

function statusText(all, scored, failed) {
  const texts = [`Scored ${scored} of ${all}`];
  if (failed) texts.push(`${failed} could not be scored`);
  if (scored + failed === all && scored) {
    const counts = ["pass", "review", "block"].map((verdict) => `${find(`${verdict}-count`).textContent} ${verdict}`);
    texts[0] += `: ${counts.join(", ")}`;
  } else if (keyAsked) texts.push("The API key is missing");
  else if (Date.now() < busyUntil) texts.push("The service is busy; this page tries again soon");
  return `${texts.join(". ")}.`;
}

function say(text) {
  find("said").textContent = text;
}

function tellProvenance(answer) {
  const texts = Object.entries(answer)
    .filter(([name]) => !NOT_SCORES.includes(name))
    .map(([name, value]) => `${name} ${name === "model" ? String(value).slice(0, 12) : value}`);
  find("provenance").textContent = `Scored with: ${texts.join(" · ")}`;
}

// The table of results, with the names of the command line's columns.

function table() {
  const known = Array.from(pictures).find((picture) => picture.state === "scored")?.answer ?? {};
  const columns = Object.keys(known).filter((name) => !NOT_SCORES.includes(name));
  const rows = Array.from(pictures, (picture) => [
    picture.name, picture.score, picture.verdict, picture.error, ...columns.map((name) => picture.answer[name]),
  ]);
  return [["source", "score", "verdict", "error", ...columns], ...rows];
}

function cell(value) {
  const text = String(value ?? "");
  // Spreadsheets take for a formula what begins like one, and a file's name may.
  const harmless = /^[=+@\t\r-]/.test(text) && typeof value === "string" ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

function download() {
  const text = table().map((row) => `${row.map(cell).join(",")}\n`).join("");
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = "scores.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60000); // by then the browser has it
}

// How pictures come in.

function choose(event) {
  add(event.target.files);
  event.target.value = ""; // else the same files could not be chosen again
}

function paste(event) {
  if (!event.clipboardData.files.length) return;
  event.preventDefault();
  add(event.clipboardData.files);
}

function dragOver(event) {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault(); // else the browser would leave the page for a file dropped beside the zone
  find("drop").classList.add("over");
}

function dragLeave(event) {
  if (!event.relatedTarget) find("drop").classList.remove("over");
}

function drop(event) {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  find("drop").classList.remove("over");
  add(event.dataTransfer.files);
}

function start() {
  const [review, block] = [find("review"), find("block")];
  find("files").addEventListener("change", choose);
  document.addEventListener("paste", paste);
  document.addEventListener("dragover", dragOver);
  document.addEventListener("dragleave", dragLeave);
  document.addEventListener("drop", drop);
  review.addEventListener("input", () => moveThreshold(review, block, review.valueAsNumber > block.valueAsNumber));
  block.addEventListener("input", () => moveThreshold(block, review, review.valueAsNumber > block.valueAsNumber));
  find("key").addEventListener("submit", useKey);
  find("show-all").addEventListener("click", showAll);
  find("sort").addEventListener("click", sort);
  find("download").addEventListener("click", download);
  find("clear").addEventListener("click", clear);
}

start();
