/* The live view of a run: draws the state that a source hands it, and asks the source for what a button is for.
   Text from a run only ever becomes a text node or an attribute's value. Nodes are made once and filled again,
   so that focus, selection, folds and zoom stay. */

const SVG = "http://www.w3.org/2000/svg";
const SLOWEST_MS = 5000, SILENCE_MS = 2000, PATIENCE_MS = 10000;
const MOVING = ["preparing", "training", "evaluating"];
const EARLY = {
  __proto__: null, queued: "Waiting for its turn.", preparing: "Loading the model, encoding the data.",
};
const BLANK = { checkpoints: [], messages: [], samples: [], data: [], evaluations: [], can: {}, change: {} };

const isNumber = Number.isFinite, within = (low, value, high) => max(low, min(high, value));
const { abs, floor, log10, max, min, round } = Math;
const text = (value) => String(value ?? "");

// --- nodes

/** `h("p.sub", {id}, "text", child)`: an element of class ftn-sub. `s` makes one of a drawing. */
const maker = (create) => (tag, ...parts) => {
  const [name, ...classes] = tag.split("."), node = create(name);
  if (classes.length) put(node, "class", classes.map((each) => `ftn-${each}`).join(" "));
  for (const part of parts) {
    if (typeof part === "string" || part instanceof Node) node.append(part);
    else for (const key in part) put(node, key, part[key]);
  }
  return node;
};
const h = maker((name) => document.createElement(name)), s = maker((name) => document.createElementNS(SVG, name));

/** Set an attribute where it differs; null takes it away. */
function put(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== `${value}`) node.setAttribute(name, value);
}

/** Set the text where it differs: a selection in a text that stays is not lost. */
function say(node, words) {
  if (node.textContent !== text(words)) node.textContent = text(words);
}

const show = (node, isShown) => put(node, "hidden", isShown ? null : "");

function tell(node, words) {
  say(node, words);
  show(node, Boolean(words));
}

/** One child for each item, made once and filled at every update. */
function each(parent, items, make, fill = say) {
  while (parent.children.length > items.length) parent.lastChild.remove();
  while (parent.children.length < items.length) parent.append(typeof make === "string" ? h(make) : make());
  items.forEach((item, at) => fill(parent.children[at], item, at));
}

const listen = (node, name, does) => node.addEventListener(name, does);
const rows = (parent, items) => each(parent, items, "tr", (row, words) => each(row, words, "td"));

// --- figures in words

const whole = (value) => round(value).toLocaleString("en-US");

function plain(value, digits = 3) {
  if (!isNumber(value)) return "–";
  const size = abs(value);
  if (!size || (size >= 1e-3 && size < 1e5)) return text(+value.toPrecision(digits));
  return value.toExponential(1).replace(/\.0(?=e)|\+/g, "");
}

function loss(value) {
  if (!isNumber(value)) return "not finite";
  const size = abs(value);
  return size >= 1e4 || (size && size < 0.01) ? plain(value, 2) : value.toFixed(size < 1 ? 3 : 2);
}

function clock(seconds) {
  const all = max(0, round(seconds)), parts = [all / 3600, (all / 60) % 60, all % 60];
  return parts.map((part) => text(floor(part)).padStart(2, "0")).join(":").replace(/^00:/, "").replace(/^0/, "");
}

function size(bytes) {
  const power = [1e9, 1e6, 1e3, 0].findIndex((least) => bytes >= least), value = bytes / 1000 ** (3 - power);
  return `${power < 2 && value < 10 ? value.toFixed(1) : round(value)} ${["GB", "MB", "kB", "B"][power]}`;
}

/** With a full stop where there is none. */
const sentence = (words) => text(words).trim().replace(/[^.!?…]$/, "$&.");

// --- scales

/** About `count` round numbers between two values. */
function ticks(low, high, count) {
  const rough = (high - low) / count, unit = 10 ** floor(log10(rough)), found = [];
  const step = [1, 2, 5, 10].find((times) => times * unit >= rough * 0.999) * unit;
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9 && found.length < 30; n++) {
    found.push(Number((n * step).toPrecision(12)));
  }
  return found;
}

/** The same between two powers of ten: 1, 2 and 5 of each decade, fewer where there are many. */
function logTicks(low, high) {
  const powers = ticks(floor(low), Math.ceil(high), 6).filter(Number.isInteger);
  const parts = powers.length > 3 ? [1] : [1, 2, 5];
  const found = powers.flatMap((power) => parts.map((part) => part * 10 ** power));
  const inside = found.filter((value) => value >= 10 ** low && value <= 10 ** high);
  return inside.length > 1 ? inside : ticks(10 ** low, 10 ** high, 4);
}

/** [low, high]: a lone value above `high` is cut off, or it would flatten all others. What is lone, running medians
    of five say. `others` are few and get more room. */
function extent(values, others = []) {
  const finite = values.filter(isNumber), all = [...finite, ...others].filter(isNumber), low = min(...all);
  if (finite.length < 5) return all.length ? [low, max(...all)] : [0, 1];
  const middle = max(...finite.map((_, at) => {
    const near = finite.slice(max(0, at - 2), at + 3).sort((a, b) => a - b);
    return near[near.length >> 1];
  }));
  const room = middle - low || abs(middle) / 10 || 1, upTo = (most) => (each) => each <= most;
  return [low, max(...finite.filter(upTo(middle + room)), ...others.filter(upTo(middle + 3 * room)))];
}

/** A path through the values, with a gap where `Y` has no number; a lone point becomes a dot. */
function path(steps, values, X, Y) {
  let d = "", isDrawing = false;
  steps.forEach((step, at) => {
    const y = Y(values[at]);
    if (isNumber(y)) {
      d += `${isDrawing ? "L" : "M"}${X(step).toFixed(1)} ${within(-2000, y, 2000).toFixed(1)}`;
      if (!isDrawing && !isNumber(values[at + 1])) d += "h.1";
    }
    isDrawing = isNumber(y);
  });
  return d;
}

const pairs = (steps, values, isIn) => steps.map((step, at) => [step, values[at]]).filter(([step]) => isIn(step));

const TRIANGLE = "l4 7h-8z";

/** Triangles at the top edge over points [step, value] above `high`; gives their number. */
function markCut(mark, points, high, X) {
  const cut = points.filter(([, value]) => isNumber(value) && value > high + abs(high) * 1e-9);
  const places = new Map(cut.map(([step]) => [round(X(step) / 8), X(step)]));
  put(mark, "d", [...places.values()].map((x) => `M${x} 1${TRIANGLE}`).join(""));
  const most = plain(max(...cut.map(([, value]) => value)));
  say(mark.firstChild, cut.length ? `${cut.length} off the scale, above ${plain(high)}; the highest is ${most}` : "");
  return cut.length;
}

// --- charts

const LEFT = 48, RIGHT = 104, TOP = 22, TALL = 174;
const LEGEND = [
  ["train", "M1 6H21", "train, smoothed"], ["raw", "M1 8 5 4 9 8 13 3 17 8 21 5", ""], ["held", "M1 6H21", "held out"],
  ["saved", "M11 1V12", "checkpoint"], ["cut", `M11 3${TRIANGLE}`, "off the scale"],
];

const SMALL = [["learning rate", "learning_rate", "train"], ["gradient norm", "grad_norm", "norm"]];

function charts(redraw) {
  const layer = {}, plot = s("svg", { x: LEFT - 4, y: TOP, height: TALL });
  for (const name of ["band", "raw", "best", "saved", "cut", "held", "squares", "train", "cross", "range"]) {
    plot.append(layer[name] = s(`path.${name}`));
  }
  layer.cut.append(s("title"));
  const grid = s("path.grid"), labels = s("g"), ends = s("g"), bestLabel = s("text");
  const reading = h("p.read.sub", { id: `ftn-${Math.random().toString(36).slice(2)}` });
  const svg = s("svg.chart", {
    role: "application", "aria-describedby": reading.id, tabindex: 0, height: TOP + TALL + 28,
  }, grid, plot, labels, ends, bestLabel);
  const log = button("log axis"), raws = button("raw values"), reset = button("whole run"), legend = h("ul.legend");
  for (const [name, d, words] of LEGEND) {
    const swatch = s("svg", { width: 22, height: 12, "aria-hidden": true }, s(`path.${name}`, { d }));
    if (name === "held") swatch.append(s("path.squares", { d: "M8 3h6v6h-6z" }));
    legend.append(h("li", swatch, h("span", words)));
  }
  const losses = h("div.losses", svg, reading, h("div.under", legend, h("div.buttons", log, raws, reset)));
  const small = SMALL.map(smallChart), aside = h("div.aside", ...small.map((each) => each.node));
  const node = h("div.charts", losses, aside);

  let state, width = 0, beside = 200, zoom = null, cursor = null, drag = null, isLog = false, isRaw = true;
  let from, to, last, wide, stops, X, Y, isIn;      // follow from the state, the zoom and the width

  const on = (target, name, does) => listen(target, name, (event) => {
    if (state && does(event) !== false) redraw();
  });
  on(log, "click", () => void (isLog = !isLog));
  on(raws, "click", () => void (isRaw = !isRaw));
  on(reset, "click", () => {
    zoom = null;
    svg.focus({ preventScroll: true });
  });
  const place = (event) => within(0, event.clientX - svg.getBoundingClientRect().left - LEFT, wide);
  const stepAt = (x) => from + (x / wide) * (to - from);
  on(svg, "pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    svg.focus({ preventScroll: true });
    svg.setPointerCapture(event.pointerId);
    drag = [place(event), place(event)];
  });
  on(svg, "pointermove", (event) => {
    const step = stepAt(place(event)), far = (stop) => abs(stop - step);
    cursor = stops.reduce((found, stop) => (far(stop) < far(found) ? stop : found), stops[0]);
    if (drag) drag[1] = place(event);
  });
  on(svg, "lostpointercapture", () => {
    if (abs(drag[1] - drag[0]) > 6) zoomTo(stepAt(min(...drag)), stepAt(max(...drag)));
    drag = null;
  });
  on(svg, "pointerleave", () => { cursor = drag ? cursor : null; });
  on(svg, "dblclick", () => { zoom = null; });
  on(svg, "keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const near = stops.filter(isIn), at = near.findLastIndex((stop) => cursor !== null && stop <= cursor);
    const middle = cursor ?? (from + to) / 2, half = (to - from) / 2;
    const go = (to) => { cursor = near[within(0, to, near.length - 1)] ?? null; };
    const does = {
      ArrowLeft: () => go(at < 0 ? Infinity : at - 1), ArrowRight: () => go(at < 0 ? Infinity : at + 1),
      Home: () => go(0), End: () => go(Infinity), 0: () => { zoom = null; },
      "+": () => zoomTo(middle - half / 2, middle + half / 2), "-": () => zoomTo(middle - half * 2, middle + half * 2),
    }[{ "=": "+", _: "-" }[event.key] ?? event.key];
    if (!does) return false;
    event.preventDefault();
    event.stopPropagation();
    return does();
  });

  function zoomTo(low, high) {
    const span = min(last, max(4, high - low)), start = within(0, low, last - span);
    zoom = span < last ? [start, start + span] : null;
  }

  const scale = (value) => (!isNumber(value) ? NaN : !isLog ? value : value > 0 ? log10(value) : NaN);

  /** Set the frame; gives the value above which the chart is cut. */
  function frame({ series, held }) {
    const { step: steps, loss: losses, smooth, low = [], high = losses } = series;
    stops = [...new Set([...steps, ...held.step])].sort((a, b) => a - b);
    last = max(state.steps || 0, stops.at(-1), 1);
    [from, to] = zoom ?? [0, last];
    isIn = (step) => step >= from && step <= to;
    wide = max(60, width - LEFT - RIGHT);
    const seen = (values, at = steps) => values.filter((_, index) => isIn(at[index])).map(scale);
    const others = [...seen(held.loss, held.step), ...(isRaw ? seen(low) : [])];
    const [least, most] = extent(seen(isRaw ? high : smooth), others);
    const pad = (most - least) * 0.06 || abs(most) * 0.1 || 0.5, bottom = least - pad, top = most + pad;
    X = (step) => ((step - from) / (to - from)) * wide;
    Y = (value) => TALL - ((scale(value) - bottom) / (top - bottom)) * TALL;
    drawAxes(isLog ? logTicks(bottom, top) : ticks(bottom, top, 4));
    return isLog ? 10 ** most : most;
  }

  const write = (node, [words, x, y, anchor, kind]) => {
    say(node, words);
    const places = { x, y, "text-anchor": anchor, class: kind ?? "" };
    for (const name in places) put(node, name, places[name]);
  };

  function drawAxes(values) {
    const places = ticks(from, to, max(2, wide / 80)).filter(Number.isInteger);
    put(grid, "d", values.map((value) => `M${LEFT} ${(TOP + Y(value)).toFixed(1)}h${wide}`).join(""));
    each(labels, [
      ...values.map((value) => [plain(value), LEFT - 8, TOP + Y(value) + 4, "end"]),
      ...places.map((step) => [step < 1e6 ? whole(step) : plain(step), LEFT + X(step), TOP + TALL + 20, "middle"]),
      ["step", LEFT + wide + 36, TOP + TALL + 20, "start"],
    ], () => s("text"), write);
  }

  /** The names of the lines where they end, pushed apart so that none lies on another. */
  function drawEnds({ series, held }) {
    const found = [];
    const lines = [["train", "ftn-t1", series.step, series.smooth], ["held out", "ftn-t2", held.step, held.loss]];
    for (const [name, kind, steps, values] of lines) {
      const at = steps.findLastIndex((step, index) => isIn(step) && isNumber(Y(values[index]))), y = Y(values[at]) + 4;
      if (at < 0) continue;
      found.push({ words: `${name} ${loss(values[at])}`, x: X(steps[at]), y: within(10, y, TALL - 2), kind });
    }
    found.sort((a, b) => a.y - b.y);
    if (found.length > 1 && found[1].y - found[0].y < 15) {
      const middle = within(18, (found[0].y + found[1].y) / 2, TALL - 10);
      [found[0].y, found[1].y] = [middle - 7.5, middle + 7.5];
    }
    const x = LEFT + 9 + max(0, ...found.map((end) => end.x));
    each(ends, found.map((end) => [end.words, x, TOP + end.y, "start", end.kind]), () => s("text"), write);
  }

  function drawBest({ best }) {
    const x = best && isIn(best.step) ? X(best.step) : -1, words = x < 0 ? "" : `best, step ${whole(best.step)}`;
    const isLeft = x + words.length * 7 > wide + RIGHT - 8;
    put(layer.best, "d", words && `M${x} 0V${TALL}`);
    write(bestLabel, [words, LEFT + x + (isLeft ? -5 : 5), 13, isLeft ? "end" : "start"]);
  }

  function drawCross({ series, held }) {
    const stop = cursor === null ? NaN : stops.findLast((each) => each <= cursor) ?? stops[0], isShown = isIn(stop);
    show(layer.cross, isShown);
    if (!isShown) return say(reading, "Drag to zoom; hover or press the arrow keys to read values.");
    const at = series.step.indexOf(stop), heldAt = held.step.indexOf(stop), words = [`step ${whole(stop)}`];
    for (const [label, values, index] of [
      ["train", series.loss, at], ["lowest", series.low, at], ["highest", series.high, at],
      ["smoothed", series.smooth, at], ["held out", held.loss, heldAt],
      ...SMALL.map(([label, key]) => [label, series[key], at]),
    ]) if (values && index >= 0) words.push(`${label} ${loss(values[index])}`);
    const y = Y(at < 0 ? held.loss[heldAt] : series.smooth[at]), x = X(stop).toFixed(1);
    put(layer.cross, "d", `M${x} 0V${TALL}${isNumber(y) ? `M${x} ${y - 4}a4 4 0 1 0 .1 0z` : ""}`);
    return say(reading, words.join(" · "));
  }

  function inWords({ series, held, best }) {
    const losses = series.smooth.filter(isNumber), words = ["Losses"];
    const by = whole(series.step.at(-1) ?? 0);
    if (losses.length) words.push(`train from ${loss(losses[0])} to ${loss(losses.at(-1))} by step ${by}`);
    if (held.step.length) words.push(`held out ${loss(held.loss.at(-1))} at step ${whole(held.step.at(-1))}`);
    if (best) words.push(`best ${loss(best.loss)} at step ${whole(best.step)}`);
    return `${words.join("; ")}. Arrow keys read values, plus and minus zoom, 0 resets.`;
  }

  function fill(next) {
    show(node, next.series.step.length + next.held.step.length);
    if (node.hidden) return;
    state = next;
    if (!width) measure();
    const { series, held, checkpoints } = state, { step: steps, low, high } = series, most = frame(state);
    const tops = isRaw ? high ?? series.loss : series.smooth, trace = (name, d) => put(layer[name], "d", d);
    put(svg, "width", width);
    put(plot, "width", wide + 8);
    put(plot, "viewBox", `-4 0 ${wide + 8} ${TALL}`);
    trace("train", path(steps, series.smooth, X, Y));
    trace("raw", isRaw ? path(steps, series.loss, X, Y) : "");
    trace("band", isRaw && low ? steps.map((step, at) => path([step, step], [low[at], high[at]], X, Y)).join("") : "");
    put(layer.band, "stroke-width", max(1, wide / steps.filter(isIn).length));
    trace("held", path(held.step, held.loss, X, Y));
    const dot = (step, at) => path([step], [held.loss[at]], X, Y).replace("h.1", "m-3-3h6v6h-6z");
    trace("squares", held.step.map(dot).join(""));
    trace("saved", checkpoints.map((step) => `M${X(step)} ${TALL}v-8`).join(""));
    const points = [...pairs(steps, tops, isIn), ...pairs(held.step, held.loss, isIn)];
    const cut = markCut(layer.cut, points, most, X);
    drawEnds(state);
    drawBest(state);
    drawCross(state);
    trace("range", drag ? `M${drag[0]} 0H${drag[1]}V${TALL}H${drag[0]}z` : "");
    [true, isRaw, held.step.length, checkpoints.length, cut].forEach((is, at) => show(legend.children[at], is));
    say(legend.children[1].lastChild, low ? "mean and range of several steps" : "each step");
    put(svg, "aria-label", inWords(state));
    put(log, "aria-pressed", isLog);
    put(raws, "aria-pressed", isRaw);
    show(reset, zoom);
    for (const each of small) each.fill(state, beside, isIn, (step) => (X(step) * beside) / wide);
  }

  function measure() {
    width = losses.clientWidth || width;
    beside = aside.clientWidth || beside;
  }
  return { node, fill, measure };
}

/** A small curve with its newest value, on the steps that the loss chart shows. */
function smallChart([label, key, kind]) {
  const tall = 44, value = h("b"), curve = s(`path.${kind}`), cut = s("path.cut", s("title"));
  const svg = s("svg", { height: tall, role: "img" }, s("path.grid", { d: `M0 ${tall - 0.5}H2000` }), curve, cut);
  const node = h("div.small", h("div", h("span.sub", label), value), svg);
  function fill({ series }, width, isIn, X) {
    const values = series[key] ?? [], seen = pairs(series.step, values, isIn);
    const [low, high] = extent(seen.map(([, each]) => each)), bottom = min(0, low);
    const Y = (each) => (isNumber(each) ? tall - 2 - ((each - bottom) / (high - bottom || 1)) * (tall - 6) : NaN);
    show(node, values.some(isNumber));
    put(svg, "width", width);
    put(curve, "d", path(series.step, values, X, Y));
    markCut(cut, seen, high, X);
    say(value, plain(values.findLast(isNumber), 2));
    const range = `from ${plain(low, 2)} to ${plain(high, 2)}`;
    put(svg, "aria-label", `${label}: ${value.textContent} now, ${range}. ${cut.textContent}`);
  }
  return { node, fill };
}

// --- the other parts: each has a node, and `fill` for what it shows of a state

function figures() {
  const node = h("dl.figures");
  function fill(state, since = 0) {
    const { memory, best, steps, left_s: left, so_far_s: past } = state, found = [];
    const add = (...pair) => found.push(pair), epoch = `epoch ${plain(state.epoch)} of ${plain(state.epochs)}`;
    if (steps) add(`${whole(state.step ?? 0)} / ${whole(steps)}`, `step, ${epoch}`);
    if (isNumber(past)) {
      const taken = clock(past + since);
      if (isNumber(left) && !state.is_over) add(`${clock(left - since)} left`, `${taken} so far`);
      else add(taken, state.is_over ? "in all" : "so far");
    }
    if (isNumber(state.tokens_per_s)) add(plain(state.tokens_per_s), "tokens/s");
    if (state.tokens_planned) add(whole(state.tokens ?? 0), `of ${whole(state.tokens_planned)} tokens`);
    if (isNumber(memory?.peak_bytes)) {
      const { peak_bytes: peak, planned_bytes: planned } = memory;
      add(size(peak), isNumber(planned) ? `of ${size(planned)} planned` : "memory at most");
    }
    const train = state.series.smooth.findLast(isNumber), held = state.held.loss.findLast(isNumber);
    if (isNumber(train)) add(loss(train), "train loss, smoothed");
    if (isNumber(held)) add(loss(held), best ? `held-out loss, best ${loss(best.loss)}` : "held-out loss");
    show(node, found.length);
    each(node, found, () => h("div", h("dt.sub"), h("dd")), (pair, [figure, words]) => {
      say(pair.firstChild, words);
      say(pair.lastChild, figure);
    });
  }
  return { node, fill };
}

function messages() {
  const node = h("div", { role: "log", "aria-label": "Messages" });
  const make = () => h("div", h("div", h("span.hear"), h("b"), " ", h("span"), h("ul")));
  const fill = (state) => each(node, state.messages, make, (one, message) => {
    const [level, title, words, list] = one.firstChild.children;
    put(one, "class", `ftn-message ftn-${message.level}`);
    say(level, `${message.level}: `);
    say(title, message.title);
    say(words, message.text);
    each(list, message.rows ?? [], "li");
  });
  return { node, fill };
}

function failure() {
  const title = h("b"), words = h("span"), list = h("ul"), far = h("p"), tail = h("pre");
  const log = h("details", h("summary", "The end of the worker's log"), tail);
  const node = h("div", h("div.message.error", h("div", title, ": ", words, list)), far, log);
  function fill({ error, steps, step, checkpoints }) {
    show(node, error);
    if (!error) return;
    say(title, error.kind);
    say(words, error.text);
    each(list, error.rows ?? [], "li");
    const saved = checkpoints.length ? `last checkpoint: step ${whole(checkpoints.at(-1))}` : "no checkpoint";
    say(far, `It came to step ${whole(step ?? 0)} of ${whole(steps ?? 0)}; ${saved}.`);
    tell(tail, error.log_tail);
    show(log, error.log_tail);
  }
  return { node, fill };
}

const VERDICTS = { __proto__: null, better: "", worse: " ftn-error" };

function verdict() {
  const words = h("p"), head = h("tr"), body = h("tbody"), table = h("table", h("thead", head), body);
  const node = h("div.report", words, table);
  function fill({ report }) {
    show(node, report);
    if (!report) return;
    put(words, "class", `ftn-verdict${VERDICTS[report.kind] ?? " ftn-noise"}`);
    say(words, report.verdict);
    each(head, report.rows.length ? report.head : [], "th");
    rows(body, report.rows);
  }
  return { node, fill };
}

/** Two texts in pieces [text, is only there]. Unmarked where one has more than 400 words: the work is quadratic. */
function changes(before, after) {
  const [a, b] = [before, after].map((words) => words.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? []);
  if (max(a.length, b.length) > 1200 || [before, after].some((each) => each.split(/\s+/).length > 400)) {
    return [[[before, false]], [[after, false]]];
  }
  const wide = b.length + 1, same = new Uint16Array((a.length + 1) * wide), left = [["", false]], right = [["", false]];
  for (let at = a.length * wide - 2; at >= 0; at--) {
    const isSame = a[floor(at / wide)] === b[at % wide];
    if (at % wide < b.length) same[at] = isSame ? same[at + wide + 1] + 1 : max(same[at + wide], same[at + 1]);
  }
  const add = (pieces, part, isOnly) => {
    if (pieces.at(-1)[1] === isOnly) pieces.at(-1)[0] += part;
    else pieces.push([part, isOnly]);
  };
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    const at = i * wide + j, isSame = a[i] === b[j];
    const isGone = isSame || j >= b.length || same[at + wide] >= same[at + 1];
    if (isGone) add(left, a[i++], !isSame);
    if (isSame || !isGone) add(right, b[j++], !isSame);
  }
  return [left, right];
}

function samples() {
  const head = h("tr"), body = h("tbody"), filled = new WeakMap();
  const node = h("div.samples", h("table", { "aria-label": "Answers over time" }, h("thead", head), body));
  const mark = (cell, pieces, tag) => {
    cell.replaceChildren(...pieces.map(([words, isOnly]) => (isOnly ? h(tag, words) : words)));
  };
  function fill({ samples: found }) {
    show(node, found.length);
    const steps = [...new Set(found.flatMap((one) => one.answers.map((answer) => answer.step)))].sort((a, b) => a - b);
    const shown = steps.filter((_, at) => !at || at > steps.length - 3);
    const extra = found.some((one) => one.reference) ? ["reference"] : [];
    const labels = ["prompt", ...extra, ...shown.map((step) => (step ? `step ${whole(step)}` : "before training"))];
    each(head, labels, "th");
    each(body, found, "tr", (row, one) => {
      const answers = shown.map((step) => one.answers.find((answer) => answer.step === step)?.text);
      const texts = [one.prompt, ...extra.map(() => one.reference ?? ""), ...answers];
      const key = JSON.stringify([labels, texts]);
      if (filled.get(row) === key) return;        // comparing words at every update would cost too much
      filled.set(row, key);
      row.replaceChildren(...texts.map((words, at) => h("td", { "data-label": labels[at] }, words ?? "–")));
      const [before, after] = answers.slice(-2);
      if (!before || !after) return;
      const [left, right] = changes(before, after);
      mark(row.lastChild.previousSibling, left, "del");
      mark(row.lastChild, right, "ins");
    });
  }
  return { node, fill };
}

function folds() {
  const body = h("tbody"), recipe = h("pre");
  const data = h("details", h("summary", "The data in numbers"), h("table", body));
  const cooked = h("details", h("summary", "Recipe"), recipe);
  function fill(state) {
    show(data, state.data.length);
    rows(body, state.data);
    show(cooked, state.recipe);
    say(recipe, state.recipe);
  }
  return { node: h("div.folds", data, cooked), fill };
}

// --- hands

const button = (words) => h("button", { type: "button" }, words);

function field(label, key, step) {
  const input = h("input", { type: "number", min: 0, step, "data-lm-suppress-shortcuts": true });
  return { label, key, input, node: h("label", label, " ", input) };
}

function hands(source) {
  const said = h("p.said", { "aria-live": "polite" }), pause = button("");
  const checkpoint = button("Checkpoint"), stop = button("Stop and keep");
  const more = button("More"), discard = button(""), edit = button("Change…"), apply = button("Apply");
  const fields = [field("epochs", "epochs", "any"), field("evaluate every … steps", "evaluate_every", 1)];
  const form = h("div.buttons", { role: "group", "aria-label": "Change" }, ...fields.map((each) => each.node), apply);
  const panel = h("div.buttons", discard, edit, form), bar = h("div.buttons", pause, checkpoint, stop, more);
  let state, isSure;

  const answer = (words, isProblem) => {
    tell(said, sentence(words));
    put(said, "class", isProblem ? "ftn-said ftn-warning" : "ftn-said");
  };
  const arm = (is) => {
    isSure = is;
    say(discard, is ? "Press again to discard" : "Stop and discard");
    discard.classList.toggle("ftn-sure", is);
  };
  const open = (opener, opened, is) => {
    put(opener, "aria-expanded", is);
    show(opened, is);
  };
  /** A pressed button is only marked as disabled: the browser takes the focus from one that is. */
  function press(pressed, kind, values = {}) {
    if (pressed.getAttribute("aria-disabled")) return;
    put(pressed, "aria-disabled", true);
    source.ask(kind, values).then((words) => answer(words), (problem) => answer(problem.message, true))
      .finally(() => put(pressed, "aria-disabled", null));
  }
  function change() {
    const values = {};
    for (const { key, input, label } of fields) {
      const value = input.valueAsNumber;
      if (!input.value && !input.validity.badInput) continue;
      if (!(value > 0) || (key !== "epochs" && value % 1)) {
        input.focus();
        answer(`“${label}” must be a ${key === "epochs" ? "" : "whole "}number above 0`, true);
        return;
      }
      if (value !== state.change[key]) values[key] = value;
    }
    if (Object.keys(values).length) press(apply, "change", values);
    else answer("Type another number first", true);
  }

  const on = (target, does) => listen(target, "click", does);
  on(pause, () => press(pause, state.can.resume ? "resume" : "pause"));
  on(checkpoint, () => press(checkpoint, "checkpoint"));
  on(stop, () => press(stop, "stop", { keep: true }));
  on(bar, () => arm(false));
  on(more, () => open(more, panel, panel.hidden));
  on(edit, () => {
    for (const { key, input } of fields) input.value = text(state.change[key]);
    open(edit, form, form.hidden);
  });
  on(discard, () => {
    if (isSure) press(discard, "stop", { keep: false });
    else answer("Nothing of what was learnt will be kept; press again to discard it");
    arm(!isSure);
  });
  listen(discard, "focusout", (event) => panel.contains(event.relatedTarget) && arm(false));
  on(apply, change);
  listen(form, "keydown", (event) => event.key === "Enter" && event.target !== apply && change());
  arm(false);
  open(more, panel, false);
  open(edit, form, false);
  answer("");

  function fill(next) {
    state = next;
    const { can } = state, hasMore = can.discard || can.change;
    const shown = [can.pause || can.resume, can.checkpoint, can.stop, hasMore, can.discard, can.change];
    [pause, checkpoint, stop, more, discard, edit].forEach((node, at) => show(node, shown[at]));
    say(pause, can.resume ? "Resume" : "Pause");
    if (!can.discard) arm(false);
    if (!can.change) open(edit, form, false);
    if (!hasMore) open(more, panel, false);
  }
  return { bar, panel, said, fill };
}

// --- the view

/** In words, how the view is connected; empty while all is well. */
function linkWords({ link, linkText }, state) {
  if (link !== "lost" || state?.is_over) return link === "waiting" ? linkText : "";
  const when = isNumber(state?.time) ? ` This is how it stood at ${new Date(state.time * 1000).toLocaleString()}.` : "";
  return `${sentence(linkText)}${when} To follow it, run the cell again or %attach ${state?.run.name ?? "NAME"}.`;
}

/** Draw the view of `source` in `el`; gives the function that takes it away. */
export function mount(el, source) {
  const name = h("b", { tabindex: -1 }), chip = h("span", { role: "status" }), subject = h("span.sub.subject");
  const link = h("p.warning", { role: "status" }), bar = h("progress");
  const now = h("p"), notice = h("p"), advice = h("p.sub");
  const loading = h("div.loading", h("p", { role: "status" }, "Looking for the run…"), h("i"), h("i"), h("i"));
  const plot = charts(schedule), hand = hands(source), numbers = figures(), failed = failure();
  const parts = [hand, failed, verdict(), numbers, plot, messages(), samples(), folds()];
  const body = h("div", h("div.top", name, chip, subject, hand.bar), hand.panel, hand.said, bar, failed.node, now,
    notice, advice, ...parts.slice(2).map((part) => part.node));
  const root = h("div.live", { role: "group" }, link, loading, body);
  root.classList.add("ftn", "tex2jax_ignore", "mathjax_ignore");
  let frame = 0, beat, drawn, drawnAt, shown;

  function draw() {
    const began = performance.now(), given = source.state?.run ? source.state : null, held = document.activeElement;
    frame = 0;
    if (given !== drawn) drawnAt = began;
    drawn = given;
    tell(link, linkWords(source, given));
    show(loading, !given && source.link !== "lost");
    show(body, given);
    put(root, "aria-label", `Training run ${text(given?.run.name)}`);
    if (given) fill({ ...BLANK, ...given });
    if (root.contains(held) && !held.checkVisibility()) name.focus({ preventScroll: true });
    source.drawn?.(performance.now() - began);
  }

  function fill(state) {
    const { comparing, evaluations: told } = state;
    state.held = { step: told.map((each) => each.step), loss: told.map((each) => each.loss) };
    state.series = { step: [], loss: [], smooth: [], ...state.series };
    if (source.link === "lost") state.can = {};
    shown = state;
    const isMoving = MOVING.includes(state.state) && /live|waiting/.test(source.link);
    if (!isMoving) beat = clearInterval(beat);
    else beat ??= setInterval(() => numbers.fill(shown, since()), 1000);
    say(name, state.run.name);
    say(chip, state.state);
    put(chip, "class", `ftn-chip ftn-is-${state.state}`);
    say(subject, state.run.subject);
    let doing = state.error ? "" : state.detail || EARLY[state.state];
    if (comparing) doing = `comparing base and tuned: ${comparing.contender} ${comparing.done} of ${comparing.total}`;
    tell(now, sentence(doing));
    tell(notice, state.notice);
    tell(advice, state.advice);
    show(bar, state.steps);
    put(bar, "aria-label", comparing ? "Comparing base and tuned" : "Steps done");
    put(bar, "max", (comparing ? comparing.total : state.steps) || 1);
    put(bar, "value", comparing ? comparing.done : state.step ?? 0);
    for (const part of parts) part.fill(state, since());
  }

  /** Seconds since the state came, while its clocks go on. */
  function since() {
    return beat ? (performance.now() - drawnAt) / 1000 : 0;
  }

  function schedule() {
    frame ||= requestAnimationFrame(draw);
  }

  function measure() {
    root.classList.toggle("ftn-narrow", root.clientWidth < 700);
    plot.measure();
  }

  listen(root, "keydown", (event) => {       // JupyterLab's shortcuts listen further up
    const { key, target } = event, isTyped = target.localName === "input" && key !== "Tab" && key !== "Escape";
    const isPressed = target.closest("button, summary") && (key === "Enter" || key === " ");
    if ((isPressed || isTyped) && !event.ctrlKey && !event.metaKey) event.stopPropagation();
  });
  const observer = new ResizeObserver(() => {
    measure();
    schedule();
  });
  el.append(root);
  measure();
  draw();
  observer.observe(root);
  const leave = source.subscribe(schedule);
  return () => {
    leave();
    observer.disconnect();
    cancelAnimationFrame(frame);
    clearInterval(beat);
    root.remove();
  };
}

// --- sources

/** What sources share: `start` comes with the first listener, `end` after the last. */
function makeSource(state, start, end) {
  const listeners = new Set(), source = {
    state, link: "loading", linkText: "",
    subscribe(listener) {
      listeners.add(listener);
      if (listeners.size === 1) start();
      return () => listeners.delete(listener) && !listeners.size && end();
    },
  };
  return [source, (link, linkText = "", state = source.state) => {
    Object.assign(source, { link, linkText, state });
    listeners.forEach((listener) => listener());
  }];
}

/** [status, body]. Gives up after ten seconds, or when `signal` says so. */
async function request(url, { signal, ...options } = {}) {
  const ends = AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), ...(signal ? [signal] : [])]);
  const answer = await fetch(url, { credentials: "same-origin", cache: "no-store", ...options, signal: ends });
  return [answer.status, answer.status === 204 ? null : await answer.json()];
}

const refusal = (status) => (status ? `The server answers with an error (${status})` : "The server does not answer");
const apiOf = (base, runId) => `${base}ft-notebook/api/runs/${encodeURIComponent(runId)}`;

/** A run by way of the server extension; `snapshot` is shown where the server cannot be asked. */
export function serverSource({ base, runId, snapshot = null, intervalMs = 500 }) {
  const api = apiOf(base, runId), [source, change] = makeSource(snapshot, start, end);
  let timer, failures = 0, current, isWatched = false;

  async function poll() {
    clearTimeout(timer);
    current?.abort();
    const mine = (current = new AbortController()), tag = source.state?.tag ?? "", { signal } = mine;
    const [status, body] = await request(`${api}/live?tag=${encodeURIComponent(tag)}`, { signal }).catch(() => [0]);
    if (mine !== current) return;
    let wait = intervalMs;
    if (status === 200 || status === 204) {
      failures = 0;
      change("live", "", body ? { ...body, notice: body.notice || snapshot?.notice } : source.state);
      if (source.state?.is_over) wait = /finished|discarded/.test(source.state.state) ? null : SLOWEST_MS;
    } else if (status === 404) {
      change("lost", "This server has no such run");
      wait = null;
    } else {
      failures += 1;
      wait = min(SLOWEST_MS, intervalMs * 2 ** failures);
      if (failures > 2) change("lost", refusal(status));
    }
    current = null;
    if (wait !== null) timer = setTimeout(poll, document.hidden ? SLOWEST_MS : wait);
  }

  function seen() {
    if (!document.hidden) poll();
  }

  function start() {
    isWatched = true;
    document.addEventListener("visibilitychange", seen);
    poll();
  }

  function end() {
    isWatched = false;
    document.removeEventListener("visibilitychange", seen);
    clearTimeout(timer);
    current?.abort();
    current = null;
  }

  source.ask = async (kind, values = {}) => {
    const token = /(?:^|;\s*)_xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? "";
    const headers = { "Content-Type": "application/json", "X-XSRFToken": token };
    const asked = { method: "POST", headers, body: JSON.stringify({ kind, values }) };
    const [status, body] = await request(`${api}/requests`, asked).catch(() => [0]);
    if (isWatched) poll();
    if (status === 200) return text(body.said);
    throw new Error(body?.message ?? `${refusal(status)}; whether the run was asked is not known.`);
  };
  return source;
}

/** A run by way of a widget's model. */
export function modelSource(model) {
  const now = () => (model.get("state")?.run ? model.get("state") : null);
  const [source, change] = makeSource(now(), start, end);
  const asked = new Map(), mark = Math.random().toString(36).slice(2);
  let count = 0;

  function take(message) {
    const one = asked.get(message.id);
    if (message.type !== "said" || !one) return;
    clearTimeout(one.timer);
    asked.delete(message.id);
    if (source.link === "waiting" && !asked.size) change("live");
    one.settle(message.ok, message.text);
  }
  function forget(words) {
    for (const one of asked.values()) {
      clearTimeout(one.timer);
      if (words) one.settle(false, words);
    }
    asked.clear();
  }
  function lost() {
    forget("The kernel is gone; whether the run was asked is not known.");
    change("lost", "The kernel of this view is gone");
  }
  const link = () => (asked.size && source.link === "waiting" ? "waiting" : now() ? "live" : "loading");
  const update = () => change(link(), source.linkText, now());
  const events = { "change:state": update, "msg:custom": take, "comm:close": lost, comm_live_update: lost };
  function start() {
    for (const name in events) model.on(name, events[name]);
    update();
  }
  function end() {
    for (const name in events) model.off(name, events[name]);
    forget();
  }

  source.ask = (kind, values = {}) => new Promise((resolve, reject) => {
    const id = `${mark}-${++count}`, settle = (isDone, words) => (isDone ? resolve(words) : reject(new Error(words)));
    const late = () => change("waiting", "The kernel is busy with a cell; it answers when that ends.");
    asked.set(id, { settle, timer: setTimeout(late, SILENCE_MS) });
    model.send({ type: "ask", id, kind, values });
  });
  return source;
}

/** The address of this page's Jupyter server, ending in a slash; null on a page that does not say. */
export function serverBase() {
  try {
    const { baseUrl } = JSON.parse(document.getElementById("jupyter-config-data")?.textContent ?? "{}");
    return typeof baseUrl === "string" ? baseUrl.replace(/\/?$/, "/") : null;
  } catch (problem) {
    if (problem instanceof SyntaxError) return null;
    throw problem;
  }
}

export default {
  /** Tell the kernel whether the page shows the run by itself, from the server, or this widget has to. */
  async initialize({ model }) {
    const base = globalThis.ftNotebookRenderer ? serverBase() : null;
    const [status] = base === null ? [0] : await request(`${apiOf(base, model.get("run_id"))}/live`).catch(() => [0]);
    model.send({ type: "hello", front: status === 200 || status === 204 ? "server" : "widget" });
  },
  render: ({ model, el }) => mount(el, modelSource(model)),
};
