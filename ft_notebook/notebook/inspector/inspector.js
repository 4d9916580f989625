/* The inspector of a data set: figures, findings, and a table of which only the rows in sight are on the page. The kernel
   is asked one thing at a time; an answer that nobody waits for any more is dropped. */

const ROW = 28, NUMBER = 76, BLOCK = 50, AHEAD = 6, TALLEST = 8e6, BLOCKS_KEPT = 60, TOKENS_SHOWN = 5000, LONGEST_EDIT = 200000;
const TYPING_MS = 250, LOOK_MS = 120, SUM_UP_MS = 60;
const WIDTHS = { __proto__: null, number: 110, boolean: 110, text: 220, nested: 320 };
const MARKS = ["flagged", "noted", "edited", "dropped"];
const GONE = "The kernel of this view is gone. To go on, run the cell again.";
const BUSY = "The kernel is busy with a cell; it answers when that ends.";
const HELP = "Arrow keys, Home, End, PageUp, PageDown move · Enter edits · f flag · n note · d drop · u undo · r redo · "
  + "s sort · p pin · Space selects · / search · with Shift, Enter, F, N and D mean all rows shown";
const BLANK = { phase: "loading", words: "", name: "", numbers: [], charts: [], findings: [], version: -1, can: {}, columns: [],
  first: null, marks: {} };
const NO_WORK = { phase: "waiting", words: "", share: 0 };

// --- the kernel

/** Asks one thing at a time. A request that a newer one replaces before it left is answered by null. */
function makeLine(model, { changed, pushed }) {
  const queue = [], line = { words: "", isLost: false };
  let last = firstNumber(), flying = null, timer;

  function tellWords(words) {
    if (words === line.words) return;
    line.words = words;
    changed();
  }
  function advance() {
    if (flying || !queue.length) return;
    const at = queue.findIndex((one) => one.type !== "summary");      // rows first, figures when there is time
    [flying] = queue.splice(max(0, at), 1);
    timer = setTimeout(() => tellWords(BUSY), PATIENCE_MS);
    model.send({ type: flying.type, id: flying.id, ...flying.fields });
  }
  function take(message) {
    if (message?.type === "tokens") pushed(message);
    if (!flying || message?.id !== flying.id) return;
    const { resolve, reject } = flying;
    flying = null;
    clearTimeout(timer);
    tellWords("");
    if (message.ok) resolve(message);
    else reject(new Error(message.text));
    advance();
  }
  function lose() {
    line.isLost = true;
    clearTimeout(timer);
    for (const one of [flying, ...queue.splice(0)]) one?.reject(new Error(GONE));
    flying = null;
    tellWords(GONE);
  }
  line.ask = (type, fields = {}, isReplacing = false) => new Promise((resolve, reject) => {
    if (line.isLost) {
      reject(new Error(GONE));
      return;
    }
    if (isReplacing) {
      const old = queue.findIndex((one) => one.type === type);
      if (old >= 0) queue.splice(old, 1)[0].resolve(null);
    }
    queue.push({ type, fields, id: ++last, resolve, reject });
    advance();
  });
  const unhear = hear(model, { "msg:custom": take, "comm:close": lose, comm_live_update: lose });
  line.end = () => {
    clearTimeout(timer);
    unhear();
  };
  return line;
}

// --- the row pane

function makePane() {
  const title = h("p.sub"), body = h("div.whole", { tabindex: 0, role: "group", "aria-label": "The row" });
  const tokens = h("p.tokens"), fields = h("dl"), note = h("p");
  body.append(note, tokens, fields);
  const node = h("div.pane", { role: "region", "aria-label": "Row" }, title, body);

  const isKept = (one) => one.is_kept !== false;
  function token(one) {
    const words = shown(one.text).replaceAll("\n", "↵\n"), kind = !isKept(one) ? "s.tok.cut" : one.is_trained ? "b.tok" : "span.tok";
    return h(kind, one.is_special ? h("span.special", words) : words);
  }
  function fill(row, seen) {
    const list = seen?.tokens, end = list?.findLast((one) => isKept(one) && one.text.trim()), parts = [];
    parts.push(list ? `row ${whole(row.row)} as the model sees it · trained tokens underlined` : `row ${whole(row.row)}`);
    if (list?.some((one) => !isKept(one))) parts.push(" · what is cut off is struck out");
    if (list && row.edited.length) parts.push(" · as edited");
    if (end?.is_special) parts.push(" · ends with ", h("span.special", oneLine(end.text)), end.is_trained ? " trained ✓" : " not trained");
    else if (end) parts.push(" · does not end with a special token");
    if (seen === "wait") parts.push(" · the tokens are on their way");
    else if (seen?.text) parts.push(` · ${shown(seen.text)}`);
    title.replaceChildren(...parts);
    put(node, "aria-label", `Row ${whole(row.row)}`);
    tell(note, row.note ? `Note: ${shown(row.note)}` : "");
    const all = list ?? [], from = max(0, min(all.findIndex(isKept) - 100, all.length - TOKENS_SHOWN));
    const first = all.slice(from, from + TOKENS_SHOWN), more = all.length - from - first.length;
    tokens.replaceChildren(...(from ? [`${counted(from, "token")} before … `] : []), ...first.map(token),
      ...(more ? [` … ${counted(more, "more token")}`] : []));
    show(tokens, list);
    const before = new Map(row.edited);
    const pairs = row.cells.filter(([name]) => !list || before.has(name));
    fields.replaceChildren(...pairs.flatMap(([name, , words]) => [
      h("dt.sub", oneLine(name)), h("dd", words === null ? "–" : shown(words)),
      ...(before.has(name) ? [h("dd", "was: ", h("del", shown(before.get(name) ?? "–")))] : [])]));
  }
  return { node, fill };
}

/** A text to write: Enter saves, Shift+Enter breaks the line, Escape leaves. */
function makeEditor(closed) {
  const area = h("textarea", { rows: 3, ...TYPED }), label = h("label", h("span"), area);
  const node = h("div.editor", { hidden: "" }, label);
  let save = null;

  function close() {
    save = null;
    show(node, false);
    closed();
  }
  function accept() {
    const does = save;
    close();
    does?.(area.value);
  }
  node.append(h("div.buttons", button("Save", accept), button("Cancel", close)));
  endByKey(area, accept, close);
  return {
    node,
    get isOpen() { return save !== null; },
    open(words, value, does) {
      save = does;
      say(label.firstChild, words);
      area.value = value;
      show(node, true);
      area.focus();
      area.select();
    },
  };
}

// --- the findings

function makeFindings({ choose, check, work }) {
  const title = h("p.sub"), list = h("ul"), node = h("div.findings", work, title, list);
  const make = () => {
    const box = h("input", { type: "checkbox", ...TYPED });
    const open = h("button.find", { type: "button" }, h("span.sign", { "aria-hidden": true }),
      h("span", h("span.hear"), h("b"), h("span.sub")));
    listen(box, "change", () => check(box.place, box.checked));
    listen(open, "click", () => choose(open.place));
    return h("li", h("div", open, box), h("p.sub"));
  };
  function fill({ findings, can }, chosen, checked, phase) {
    tell(title, findings.length ? "" : phase === "done" || phase === "waiting" ? "No check found anything." : "Nothing was found so far.");
    each(list, findings, make, (item, one) => {
      const [line, more] = item.children, [open, box] = line.children, isOn = one.finding === chosen;
      const [severity, message, rows] = open.lastChild.children;
      open.place = box.place = one.finding;
      put(item, "class", `ftn-is-${one.severity}${isOn ? " ftn-on" : ""}`);
      say(open.firstChild, SIGNS[one.severity] ?? "●");
      say(severity, `${one.severity}: `);
      say(message, one.message);
      say(rows, [one.rows, one.check].filter(Boolean).join(" · "));
      put(open, "aria-pressed", isOn);
      tell(more, isOn ? one.explanation : "");
      show(box, one.fix && can.fix);
      box.checked = checked.has(one.finding);
      put(box, "aria-label", `Fix: ${one.fix}`);
      put(box, "title", one.fix ?? "");
    });
  }
  return { node, fill };
}

// --- a column's head

function makeHead(column, { sortBy, pin, filterBy }) {
  const name = h("button.name", { type: "button", title: "Sort" }, h("span"), h("span", { "aria-hidden": true }));
  const hold = button("⇤", () => pin(column), { "aria-label": `Pin ${oneLine(column.name)}`, title: "Pin" });
  const bars = h("div.bars", { role: "group" }), caption = h("span.sub.caption");
  const node = h("div.head", { role: "columnheader" }, h("div.line", name, hold), bars, caption);
  hold.classList.add("ftn-pin");
  say(name.firstChild, oneLine(column.name));
  listen(name, "click", () => sortBy(column.name));
  listen(bars, "keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key], all = [...bars.children];
    if (!step) return;
    const next = all[within(0, all.indexOf(event.target) + step, all.length - 1)];
    for (const bar of all) put(bar, "tabindex", bar === next ? 0 : -1);
    next?.focus();
    event.preventDefault();
    event.stopPropagation();
  });
  let summary = null;
  const make = () => {
    const bar = h("button.bar", { type: "button", tabindex: -1 }, h("i"));
    listen(bar, "click", () => filterBy(column, summary, bar.item));
    return bar;
  };

  function fill({ sort, isPinned, filter, next }) {
    const way = sort?.column === column.name ? (sort.descending ? "descending" : "ascending") : "none";
    put(node, "aria-sort", way);
    say(name.lastChild, { none: "", ascending: " ▲", descending: " ▼" }[way]);
    put(hold, "aria-pressed", isPinned);
    if (next !== summary) {
      summary = next;
      drawBars();
    }
    const picked = filter?.kind === "one-of" ? (bar) => filter.values.includes(bar.item.filter.values?.[0])
      : (bar) => filter && JSON.stringify(filter) === JSON.stringify(bar.item.filter);
    for (const bar of bars.children) put(bar, "aria-pressed", Boolean(picked(bar)));
  }
  function drawBars() {
    const found = summary?.bars ?? [], most = max(1, ...found.map((bar) => bar.count));
    const of = { values: "value", numbers: "number", lengths: "length in characters" }[summary?.shows] ?? "value";
    put(bars, "aria-label", `${oneLine(column.name)} by ${of}`);
    each(bars, found, make, (bar, item, at) => {
      const label = `${oneLine(item.label) || "(empty)"}${summary.shows === "lengths" ? " characters" : ""}: ${counted(item.count, "row")}`;
      bar.item = item;
      bar.firstChild.style.height = `${item.count ? max(2, 22 * item.count / most) : 0}px`;
      put(bar, "aria-label", label);
      put(bar, "title", label);
      if (!at && ![...bars.children].some((each) => each.tabIndex === 0)) put(bar, "tabindex", 0);
    });
    const words = { lengths: "characters", numbers: "" }, range = [summary?.low, summary?.high].map((limit) => +Number(limit).toPrecision(4));
    const parts = !summary ? ["…"] : summary.shows === "values" ? [counted(summary.distinct, "value")]
      : summary.shows === "nothing" ? ["no values"] : [`${range[0].toLocaleString("en-US")}–${range[1].toLocaleString("en-US")} ${words[summary.shows]}`.trim()];
    if (summary?.missing) parts.push(`${whole(summary.missing)} missing`);
    say(caption, parts.join(", "));
  }
  return { node, fill, column };
}

// --- filters that are written

const HOWS = [["contains", "contains"], ["is", "is exactly"], ["missing", "is missing"], ["between", "number from … to"],
  ["length", "characters from … to"]];

function makeFilterForm(add, problem) {
  const column = h("select", { "aria-label": "Column", ...TYPED }), how = choice("Condition", HOWS, fit);
  const first = h("input", { "aria-label": "Value, or from", ...TYPED }), last = h("input", { "aria-label": "To", ...TYPED });
  const node = h("div.buttons.form", { role: "group", "aria-label": "Filter", hidden: "" }, column, how, first, last,
    button("Add filter", submit));
  listen(node, "keydown", (event) => event.key === "Enter" && event.target.localName === "input" && submit());

  function fit() {
    show(first, how.value !== "missing");
    show(last, ["between", "length"].includes(how.value));
  }
  function limit(input) {
    const words = input.value.trim().replaceAll(",", "");
    if (words && !Number.isFinite(Number(words))) throw new RangeError(`“${input.value}” is no number`);
    return words ? Number(words) : null;
  }
  function submit() {
    const name = column.value, words = oneLine(name);
    try {
      const made = {
        contains: () => [{ kind: "contains", column: name, text: first.value }, `${words} contains ${oneLine(first.value)}`],
        is: () => [{ kind: "is", column: name, value: first.value }, `${words} is ${oneLine(first.value) || "(empty)"}`],
        missing: () => [{ kind: "is", column: name, value: null }, `${words} is missing`],
        between: () => [{ kind: "between", column: name, low: limit(first), high: limit(last) }, `${words} from ${first.value || "…"} to ${last.value || "…"}`],
        length: () => [{ kind: "length", column: name, low: limit(first), high: limit(last) }, `${words}: ${first.value || "…"} to ${last.value || "…"} characters`],
      }[how.value]();
      add(JSON.stringify(made[0]), made[1], made[0]);
      first.value = last.value = "";
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      problem(error.message);
    }
  }
  fit();
  return {
    node,
    fill(columns) {
      each(column, columns, () => h("option"), (option, { name }) => {
        option.value = name;
        say(option, oneLine(name));
      });
    },
  };
}

// --- the table

/** Rows in sight out of any number: `table.count` of them, served by `rowAt`. Heights are scaled where there are too
    many for a browser, which caps them; `top` is the first row in sight and may lie between two. */
function makeTable({ rowAt, moved, seen, keyed, opened }) {
  const head = h("div.heads", { role: "rowgroup" }), heads = h("div.row", { role: "row", "aria-rowindex": 1 });
  const body = h("div.rows", { role: "rowgroup" }), sizer = h("div.sizer", body), none = h("p.none.sub", { hidden: "" });
  const node = h("div.grid", { role: "grid", tabindex: 0, "aria-label": "Rows", "aria-multiselectable": true, ...OWN_KEYS }, head, sizer);
  const corner = h("div.head.number", { role: "columnheader" });
  const uid = newId(), filled = new WeakMap();
  const table = { node, none, count: 0, top: 0, inSight: 1, active: { at: 0, place: 0 }, draw, go, place, setTop, focus };
  let order = [], layout = "", pinned = 0, lefts = [], tall = 0, room = 0, isSet = false;
  head.append(heads);

  const most = () => max(0, table.count - table.inSight);
  const isScaled = () => table.count * ROW > TALLEST;
  const scrollOf = (top) => (isScaled() ? (top / (most() || 1)) * max(0, tall - room) : top * ROW);
  const topOf = (at) => within(0, isScaled() ? (at / max(1, tall - room)) * most() : at / ROW, most());

  /** Which columns stand where: heads in order, and how many of them stay when scrolled aside. */
  function place(nodes, holds, sort) {
    const sum = (sizes) => sizes.reduce((all, each) => all + each, 0), widths = nodes.map((each) => WIDTHS[each.column.kind]);
    const spare = max(0, node.clientWidth - NUMBER - sum(widths)), wide = widths.filter((each) => each >= WIDTHS.text).length;
    const all = widths.map((each) => floor(each + (each >= WIDTHS.text || !wide ? spare / (wide || widths.length) : 0)));
    const now = JSON.stringify([nodes.map((each) => [each.column.index, each.column.name]), holds, all]);
    if (now === layout) return;
    layout = now;
    lefts = all.map((_, at) => NUMBER + sum(all.slice(0, at)));
    node.style.setProperty("--ftn-columns", [NUMBER, ...all].map((each) => `${each}px`).join(" "));
    node.style.setProperty("--ftn-wide", `${NUMBER + sum(all)}px`);
    pinned = holds;
    order = nodes.map((each) => each.column.index);
    const focused = document.activeElement;
    body.replaceChildren();
    corner.replaceChildren(sort);
    heads.replaceChildren(corner, ...nodes.map((each) => each.node));
    put(node, "aria-colcount", order.length + 1);
    [...heads.children].forEach((cell, at) => put(cell, "aria-colindex", at + 1));
    [...heads.children].forEach(hold);
    if (heads.contains(focused)) focused.focus({ preventScroll: true });
  }
  function hold(cell) {
    const at = [...cell.parentNode.children].indexOf(cell) - 1, isHeld = at >= 0 && at < pinned;
    cell.classList.toggle("ftn-pinned", isHeld);
    cell.style.left = isHeld ? `${lefts[at]}px` : "";
  }
  function makeRow() {
    const row = h("div.row", { role: "row" }, h("div.number", { role: "rowheader", "aria-colindex": 1 }));
    row.append(...order.map((_, at) => h("div.cell", { role: "gridcell", "aria-colindex": at + 2 })));
    [...row.children].forEach(hold);
    return row;
  }

  function draw() {
    room = max(ROW, node.clientHeight - head.offsetHeight);
    table.inSight = room / ROW;
    tall = min(table.count * ROW, TALLEST);
    table.top = within(0, table.top, most());
    sizer.style.height = `${tall}px`;
    put(node, "aria-rowcount", table.count + 1);
    if (!isSet) follow();
    else if (abs(node.scrollTop - scrollOf(table.top)) > 1) node.scrollTop = scrollOf(table.top);
    isSet = false;
    const first = max(0, floor(table.top) - AHEAD), last = min(table.count, ceil(table.top + table.inSight) + AHEAD);
    body.style.transform = `translateY(${node.scrollTop - (table.top - first) * ROW}px)`;
    each(body, Array.from({ length: last - first }, (_, at) => first + at), makeRow, fillRow);
    const { at, place } = table.active, isDrawn = table.count && at >= first && at < last;
    put(node, "aria-activedescendant", isDrawn ? `${uid}-${at}-${place}` : null);
  }
  function fillRow(line, at) {
    const row = rowAt(at), { active } = table, isHere = at === active.at;
    const [number, ...cells] = line.children;
    line.at = at;
    put(line, "aria-rowindex", at + 2);
    put(line, "aria-selected", Boolean(row?.isSelected));
    line.className = ["ftn-row", isHere && "ftn-active", row?.drop && "ftn-dropped", row?.isSelected && "ftn-selected"].filter(Boolean).join(" ");
    const signs = row ? [row.flag && "⚑", row.note && "✎", row.drop && "✕"].filter(Boolean).join("") : "";
    say(number, row ? `${signs && `${signs} `}${row.row}` : "…");
    put(number, "title", row && [row.flag && "flagged", row.drop && "dropped", row.note && `note: ${shown(row.note)}`].filter(Boolean).join("; ") || null);
    cells.forEach((cell, place) => {
      put(cell, "id", `${uid}-${at}-${place}`);
      cell.classList.toggle("ftn-here", isHere && place === active.place);
      fillCell(cell, row, order[place]);
    });
  }
  function fillCell(cell, row, index) {
    const text = row ? row.cells[index] : "…", isEdited = Boolean(row?.isEdited(index)), spots = row?.spots ?? [];
    const key = JSON.stringify([text, isEdited, spots]);
    if (filled.get(cell) === key) return;
    filled.set(cell, key);
    cell.classList.toggle("ftn-missing", text === null);
    const words = text === null ? ["–"] : marked(text, spots);
    cell.replaceChildren(...(isEdited ? [h("ins", ...words)] : words));
  }
  /** The text in pieces, what was found in it marked. */
  function marked(text, spots) {
    let pieces = [text];
    for (const spot of spots) {
      pieces = pieces.flatMap((piece) => (piece instanceof Node ? [piece] : piece.split(spot)
        .flatMap((part, at) => (at ? [h("mark", oneLine(spot)), part] : [part]))));
    }
    return pieces.filter((piece) => piece !== "").map((piece) => (piece instanceof Node ? piece : oneLine(piece)));
  }

  /** Where the page was scrolled to, unless `top` is nearer to it than a pixel of the bar. */
  function follow() {
    if (abs(node.scrollTop - scrollOf(table.top)) > 1) table.top = topOf(node.scrollTop);
  }
  function setTop(top) {
    table.top = within(0, top, most());
    node.scrollTop = scrollOf(table.top);
    isSet = true;
    moved();
  }
  /** Make a cell the active one, and bring it into sight. */
  function go(at, place = table.active.place) {
    table.active = { at: within(0, at, max(0, table.count - 1)), place: within(0, place, max(0, order.length - 1)) };
    const sight = floor(table.inSight);
    if (table.active.at < table.top) setTop(table.active.at);
    else if (table.active.at > table.top + sight - 1) setTop(table.active.at - table.inSight + 1);
    const left = lefts[table.active.place] ?? 0, held = lefts[pinned] ?? NUMBER;
    const right = lefts[table.active.place + 1] ?? sizer.offsetWidth;
    if (table.active.place >= pinned && left - held < node.scrollLeft) node.scrollLeft = left - held;
    else if (right > node.scrollLeft + node.clientWidth) node.scrollLeft = right - node.clientWidth;
    seen();
  }
  function focus() {
    node.focus({ preventScroll: true });
  }

  listen(node, "scroll", () => {
    if (!isSet) follow();
    moved();
  });
  listen(node, "wheel", (event) => {      // scaled, a turn of the wheel would leap over rows
    if (!isScaled() || event.shiftKey || event.ctrlKey || !event.deltaY) return;
    event.preventDefault();
    setTop(table.top + event.deltaY / (event.deltaMode ? 1 : ROW));
  }, { passive: false });
  listen(body, "click", (event) => {
    const cell = event.target.closest("[role=gridcell], [role=rowheader]");
    if (!cell) return;
    go(cell.parentNode.at, max(0, Number(cell.getAttribute("aria-colindex")) - 2));
    if (event.ctrlKey || event.metaKey) keyed(" ", false);
  });
  listen(body, "dblclick", (event) => event.target.closest("[role=gridcell]") && opened());
  listen(node, "keydown", (event) => {
    const { key, target } = event, { active, inSight } = table;
    if (event.altKey || event.isComposing || target !== node) return;
    const isFar = event.ctrlKey || event.metaKey;
    const steps = {
      ArrowUp: () => go(active.at - 1), ArrowDown: () => go(active.at + 1),
      ArrowLeft: () => go(active.at, active.place - 1), ArrowRight: () => go(active.at, active.place + 1),
      PageUp: () => go(active.at - max(1, floor(inSight) - 1)), PageDown: () => go(active.at + max(1, floor(inSight) - 1)),
      Home: () => (isFar ? go(0, 0) : go(active.at, 0)), End: () => (isFar ? go(Infinity, Infinity) : go(active.at, Infinity)),
    };
    const isStep = Object.hasOwn(steps, key);
    if (isStep) steps[key]();
    else if (isFar || !keyed(key, event.shiftKey)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  return table;
}

// --- the view

/** Draw the inspector of a widget's model in `el`; gives the function that takes it away. */
export function mount(el, model) {
  const line = makeLine(model, { changed: schedule, pushed: takeTokens });
  const link = h("p.warning", { role: "status", hidden: "" }), problem = h("p.error", { role: "alert", hidden: "" });
  const loading = h("div.loading", h("p", { role: "status" }, "Reading the data…"), h("i"), h("i"), h("i"));
  const name = h("b"), figures = h("dl.figures"), said = h("p.said.sub", { "aria-live": "polite" });
  const fix = button("", () => act({ act: "fix", findings: [...checked].sort((a, b) => a - b) }, "Making a new version…"));
  const undo = button("Undo", () => act({ act: "undo" })), redo = button("Redo", () => act({ act: "redo" }));
  const search = h("input", { type: "search", placeholder: "Search all columns", "aria-label": "Search all columns", ...TYPED });
  const more = button("Filter…", () => open(form.node.hidden), { "aria-expanded": false });
  const chips = h("div.chips", { role: "group", "aria-label": "Filters" }), marks = h("div.chips", { role: "group", "aria-label": "Marked rows" });
  const status = h("p.count", { role: "status" });
  const bulkWords = h("span.sub"), bulk = h("div.buttons.bulk", { role: "group", "aria-label": "All rows shown" }, bulkWords,
    button("Flag", () => press("f", true)), button("Drop", () => press("d", true)), button("Set…", () => press("Enter", true)));
  const form = makeFilterForm((key, words, filter) => setFilter(key, words, filter), (words) => say(said, words));
  const progress = makeWork((act) => line.ask("work", { act }).catch((error) => say(said, error.message)));
  const findings = makeFindings({ choose: chooseFinding, check: (place, is) => { checked[is ? "add" : "delete"](place); schedule(); }, work: progress.node });
  const charts = makeCharts(), train = button("Train on this", () => line.ask("cell").then(training.open, (error) => say(said, error.message)));
  const pane = makePane(), editor = makeEditor(() => { table.focus(); schedule(); });
  const table = makeTable({ rowAt, moved: () => { schedule(); need(); }, seen: () => { schedule(); need(); look(); }, keyed: press, opened: () => edit(false) });
  const tools = h("div.tools", search, more, status), empty = h("p", { hidden: "" }, "This data set has no rows.");
  const main = h("div.main", tools, form.node, h("div.under", chips, marks, bulk), table.node, table.none, editor.node, pane.node, h("p.sub.help", HELP));
  const root = makeRoot("inspect"), training = makeTraining(root, (words) => say(said, words));
  const body = h("div", { hidden: "" }, h("div.top", name, figures, h("div.buttons", undo, redo, fix, train)), said,
    training.node, charts.node, h("div.split", findings.node, main), empty);
  root.append(link, problem, loading, body);

  let state = { ...BLANK }, heads = [], pins = [], filters = [], sort = null, chosen = null, checked = new Set();
  let view = firstNumber(), held = -1, blocks = new Map(), stale = new Set(), isAsking = false, failed = "";
  let selected = new Set(), current = null, row = null, tokens = null, frame = 0, marked = {}, drawn = [];
  let looking, typing, summing, work = NO_WORK, known = new Set();

  // --- rows

  const column = (index) => state.columns[index]?.name;
  function rowAt(at) {
    const found = blocks.get(floor(at / BLOCK))?.[at % BLOCK];
    if (!found) return null;
    return { ...found, isSelected: selected.has(found.row), isEdited: (index) => found.edited.includes(column(index)) };
  }
  function keep(offset, rows, count) {
    for (let at = 0; at < rows.length; at += BLOCK) {
      const block = floor((offset + at) / BLOCK), part = rows.slice(at, at + BLOCK);
      if (part.length < BLOCK && offset + at + part.length < count) continue;       // the first rows come with the view
      blocks.delete(block);
      blocks.set(block, part);
      stale.delete(block);
    }
  }
  /** Ask for rows in sight that are not there. */
  function need() {
    if (state.phase !== "live" || isAsking || line.isLost || failed) return;
    const isNew = held !== view, top = isNew ? 0 : table.top, end = isNew ? 1 : table.count - 1;
    const from = floor(max(0, top - AHEAD) / BLOCK), to = floor(max(0, min(end, top + table.inSight + AHEAD)) / BLOCK);
    const missing = [];
    for (let block = from; block <= to; block++) if (isNew || !blocks.has(block) || stale.has(block)) missing.push(block);
    if (!missing.length || (!isNew && !table.count)) return;
    isAsking = true;
    const offset = missing[0] * BLOCK, limit = (min(missing.at(-1), missing[0] + 3) - missing[0] + 1) * BLOCK;
    line.ask("page", { view, offset, limit, sort, filters: asked() }, true).then(take, (error) => {
      failed = error.message;
    }).finally(() => {
      isAsking = false;
      schedule();
      need();
    });
  }
  function take(message) {
    if (!message || message.view !== view) return;
    marked = message.marks;
    if (held !== view) {
      if (!message.count) row = null;
      blocks.clear();
      stale.clear();
      held = view;
      table.count = message.count;
      table.active = { at: 0, place: table.active.place };
      table.setTop(0);
    }
    keep(message.offset, message.rows, message.count);
    while (blocks.size > BLOCKS_KEPT) blocks.delete(blocks.keys().next().value);
    look();
  }
  const asked = () => filters.map((each) => each.filter);
  /** Filters or order have changed. */
  function renew() {
    view += 1;
    failed = "";
    selected = new Set();
    schedule();
    need();
  }
  /** Rows may read otherwise now. */
  function refresh() {
    for (const block of blocks.keys()) stale.add(block);
    current = null;
    need();
    look();
  }

  // --- filters and order

  function setFilter(key, words, filter) {
    filters = filters.filter((each) => each.key !== key);
    if (filter) filters.push({ key, words, filter });
    if (key === "finding") chosen = filter ? filter.finding : null;
    renew();
  }
  function chooseFinding(place) {
    const one = state.findings.find((each) => each.finding === place);
    if (!one.rows) chosen = chosen === place ? null : place;
    if (one.rows) setFilter("finding", one.message, chosen === place ? null : { kind: "finding", finding: place });
    else schedule();
  }
  function filterByBar({ name: title }, summary, { label, filter }) {
    const key = `bar ${title}`, old = filters.find((each) => each.key === key)?.filter, words = oneLine(title);
    if (filter.kind === "one-of") {
      const values = new Set(old?.values ?? []), [value] = filter.values;
      values[values.has(value) ? "delete" : "add"](value);
      const all = [...values];
      setFilter(key, `${words}: ${all.map((each) => oneLine(each) || "(empty)").join(", ")}`, all.length ? { ...filter, values: all } : null);
    } else {
      const isOn = JSON.stringify(old) === JSON.stringify(filter);
      setFilter(key, `${words}: ${oneLine(label)}${summary.shows === "lengths" ? " characters" : ""}`, isOn ? null : filter);
    }
  }
  function sortBy(title) {
    if (sort?.column !== title) sort = { column: title, descending: false };
    else sort = sort.descending ? null : { column: title, descending: true };
    renew();
  }
  function pin({ index }) {
    pins = pins.includes(index) ? pins.filter((each) => each !== index) : [...pins, index];
    schedule();
  }
  function searchNow() {
    clearTimeout(typing);
    const words = search.value.trim(), now = filters.find((each) => each.key === "search")?.filter.text ?? "";
    if (words === now) return;
    setFilter("search", `contains ${oneLine(words)}`, words ? { kind: "contains", text: words, column: null } : null);
  }
  function open(is) {
    show(form.node, is);
    put(more, "aria-expanded", is);
    if (is) form.node.querySelector("select").focus();
  }

  // --- the active row

  /** Show the row that is active now, once it stays so for a moment. */
  function look() {
    const number = rowAt(table.active.at)?.row ?? null;
    if (number === null || number === current) return;
    clearTimeout(looking);
    looking = setTimeout(() => {
      current = number;
      tokens = state.can.see ? "wait" : null;
      line.ask("row", { row: number }, true).then((found) => {
        if (!found || found.row !== current) return;
        row = found;
        schedule();
        if (state.can.see) line.ask("see", { row: number }, true).catch(noTokens);
      }, (error) => say(said, error.message));
    }, LOOK_MS);
  }
  function takeTokens(message) {
    if (message.row !== current) return;
    tokens = message;
    schedule();
  }
  function noTokens(error) {
    tokens = { tokens: null, text: error.message };
    schedule();
  }

  // --- edits

  /** What an edit is for: all rows shown, those selected, or the active one. */
  function target(isAll) {
    if (isAll) return { filters: asked() };
    const here = rowAt(table.active.at);
    return { rows: selected.size ? [...selected] : here ? [here.row] : [] };
  }
  const targetWords = (isAll) => (isAll ? `all ${counted(table.count, "row")} shown`
    : selected.size ? counted(selected.size, "selected row") : `row ${rowAt(table.active.at)?.row ?? ""}`);

  function act(fields, waiting = "") {
    if (waiting) say(said, waiting);
    return line.ask("do", fields).then((answer) => {
      say(said, answer.text);
      marked = answer.marks;
      refresh();
      if (["undo", "redo", "set"].includes(fields.act)) sumUp(state.columns.map((each) => each.name));
      schedule();
    }, (error) => {
      say(said, error.message);
      schedule();
    });
  }
  function edit(isAll) {
    const name = column(placed()[table.active.place]?.column.index), here = rowAt(table.active.at);
    if (name === undefined || !here) return;
    const aim = target(isAll), words = `${oneLine(name)} of ${targetWords(isAll)}`;
    line.ask("row", { row: here.row }).then((found) => {
      const value = found.cells.find(([each]) => each === name)?.[1] ?? "";
      if (value.length >= LONGEST_EDIT) say(said, "This text is too long to be edited here.");
      else editor.open(words, value, (text) => act({ act: "set", column: name, text, ...aim }));
    }, (error) => say(said, error.message));
  }
  function press(key, isAll) {
    const here = rowAt(table.active.at), aim = target(isAll), lower = key.length === 1 ? key.toLowerCase() : key;
    const does = {
      Enter: () => edit(isAll),
      f: () => act({ act: "flag", on: isAll || !here?.flag, ...aim }),
      d: () => act({ act: "drop", on: isAll || !here?.drop, ...aim }),
      n: () => editor.open(`Note on ${targetWords(isAll)}`, here?.note ?? "", (text) => act({ act: "note", text, ...aim })),
      u: () => act({ act: "undo" }), r: () => act({ act: "redo" }),
      s: () => placed()[table.active.place] && sortBy(placed()[table.active.place].column.name),
      p: () => placed()[table.active.place] && pin(placed()[table.active.place].column),
      " ": () => here && selected[selected.has(here.row) ? "delete" : "add"](here.row),
      "/": () => search.focus(), Escape: () => selected.clear(),
    };
    if (!Object.hasOwn(does, lower)) return false;
    if (isAll && !filters.length && ["Enter", "f", "d", "n"].includes(lower)) say(said, "No filter is set, so this would be every row. Filter first.");
    else does[lower]();
    schedule();
    return true;
  }

  // --- columns

  function placed() {
    const rest = heads.filter(({ column: { index } }) => !pins.includes(index));
    return [...pins.map((index) => heads[index]), ...rest];
  }
  function sumUp(names) {
    for (const title of names) {
      line.ask("summary", { column: title }).then(({ summary }) => {
        const head = heads.find((each) => each.column.name === summary.column);
        if (head) head.summary = summary;
        schedule();
      }, (error) => say(said, error.message));
    }
  }
  const corner = h("button.name", { type: "button", title: "Sort" }, "#");
  put(corner, "aria-label", "Sort by row number");
  listen(corner, "click", () => sortBy(null));

  // --- drawing

  /** Another state: begin anew where the data are others, and go on where only more was found. */
  function update() {
    const before = state;
    state = { ...BLANK, ...model.get("state") };
    marked = state.marks;
    const isAnew = state.version !== before.version || state.phase !== before.phase;
    if (isAnew) known = checked = new Set();
    takeFindings();
    if (isAnew) {
      filters = [];
      chosen = sort = current = row = tokens = null;
      if (JSON.stringify(state.columns) !== JSON.stringify(before.columns)) {
        pins = [];
        heads = state.columns.map((each, index) => makeHead({ ...each, index }, { sortBy, pin, filterBy: filterByBar }));
      }
      search.value = "";
      form.fill(state.columns);
      blocks.clear();
      stale.clear();
      selected = new Set();
      failed = "";
      held = view += 1;
      table.count = state.first?.count ?? 0;
      table.active = { at: 0, place: 0 };
      table.setTop(0);
      if (state.first) keep(0, state.first.rows, table.count);
      for (const block of blocks.keys()) stale.add(block);        // the view may be older than the newest edit
      if (state.phase === "live" && table.count) {
        clearTimeout(summing);
        summing = setTimeout(() => sumUp(state.columns.map((each) => each.name)), SUM_UP_MS);     // the rows come first
        look();
      }
    }
    draw();
    need();
  }
  function takeWork() {
    work = { ...NO_WORK, ...model.get("work") };
    schedule();
  }
  /** Fixes of what was just found are chosen, unless good to know; what the user chose stays. */
  function takeFindings() {
    const now = new Set(state.findings.map((one) => one.finding));
    const fresh = state.findings.filter((one) => !known.has(one.finding) && one.fix && one.severity !== "notice");
    checked = new Set([...[...checked].filter((one) => now.has(one)), ...fresh.map((one) => one.finding)]);
    known = now;
    if (chosen !== null && !now.has(chosen)) setFilter("finding", "", null);
  }
  function schedule() {
    frame ||= requestAnimationFrame(draw);
  }
  function draw() {
    frame = 0;
    const isLive = state.phase === "live", total = state.first?.count ?? 0;
    tell(link, line.words);
    tell(problem, state.phase === "failed" ? shown(state.words) || "The data cannot be shown." : "");
    show(loading, state.phase === "loading");
    show(body, isLive);
    put(root, "aria-label", `Data set ${state.name}`);
    if (!isLive) return;
    say(name, state.name);
    each(figures, [["rows", whole(total)], ...state.numbers], () => h("div", h("dt.sub"), h("dd")), (pair, [label, figure]) => {
      say(pair.firstChild, label);
      say(pair.lastChild, figure);
    });
    drawTools();
    progress.fill(work);
    findings.fill(state, chosen, checked, work.phase);
    charts.fill(state.charts);
    show(empty, !total);
    show(main, total);
    if (!total) return;
    drawTable();
    if (row?.row === current && (row !== drawn[0] || tokens !== drawn[1])) pane.fill(...(drawn = [row, tokens]));
    show(pane.node, row && !editor.isOpen);
    if (isFocusLost(root)) table.focus();
  }
  function drawTools() {
    const edits = (marked.edited ?? 0) + (marked.dropped ?? 0), fixes = checked.size;
    const words = [fixes && `Fix ${counted(fixes, "finding")}`, edits && `keep ${counted(edits, "edited row")}`].filter(Boolean).join(", ");
    show(fix, state.can.fix && words);
    say(fix, `${capital(words)} → new version`);
    show(train, state.can.train);
    show(undo, marked.can_undo);
    show(redo, marked.can_redo);
    each(chips, filters, () => h("button.filter", { type: "button" }), (chip, one) => {
      say(chip, `${cut(oneLine(one.words), 60)} ✕`);
      put(chip, "aria-label", `Remove the filter: ${oneLine(one.words)}`);
      chip.onclick = () => {
        if (one.key === "search") search.value = "";
        setFilter(one.key, "", null);
        table.focus();
      };
    });
    const some = MARKS.filter((mark) => marked[mark] || filters.some((one) => one.key === mark));
    each(marks, some, () => h("button.filter", { type: "button" }), (chip, mark) => {
      const isOn = filters.some((one) => one.key === mark);
      say(chip, `${mark} ${whole(marked[mark])}`);
      put(chip, "aria-pressed", isOn);
      chip.onclick = () => setFilter(mark, mark, isOn ? null : { kind: "marked", mark });
    });
    show(bulk, filters.length && table.count);
    say(bulkWords, `All ${whole(table.count)}:`);
    const isWaiting = held !== view && !failed, total = state.first?.count ?? 0;
    const parts = [isWaiting ? "Looking…" : filters.length ? `${whole(table.count)} of ${counted(total, "row")}` : counted(total, "row")];
    if (selected.size) parts.push(`${whole(selected.size)} selected`);
    say(status, parts.join(" · "));
    put(table.node, "aria-busy", isWaiting);
  }
  function drawTable() {
    const nodes = placed();
    for (const head of heads) {
      const filter = filters.find((one) => one.key === `bar ${head.column.name}`)?.filter;
      head.fill({ sort, isPinned: pins.includes(head.column.index), filter, next: head.summary ?? null });
    }
    table.place(nodes, pins.length, corner);
    put(corner.parentNode, "aria-sort", sort && sort.column === null ? (sort.descending ? "descending" : "ascending") : "none");
    table.draw();
    tell(table.none, failed || (held === view && !table.count ? "No row matches." : ""));
  }

  listen(search, "input", () => {
    clearTimeout(typing);
    typing = setTimeout(searchNow, TYPING_MS);
  });
  listen(search, "keydown", (event) => {
    if (event.key === "Enter" || event.key === "Escape") {
      if (event.key === "Escape") search.value = "";
      searchNow();
      table.focus();
      event.preventDefault();
    }
  });
  keepKeys(root);
  const remove = attach(root, el, 700, () => {
    schedule();
    need();
  });
  const unhear = hear(model, { "change:state": update, "change:work": takeWork });
  takeWork();
  update();
  return () => {
    unhear();
    line.end();
    remove();
    cancelAnimationFrame(frame);
    clearTimeout(looking);
    clearTimeout(typing);
    clearTimeout(summing);
  };
}

export default { render: ({ model, el }) => mount(el, model) };
