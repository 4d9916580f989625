/* The dashboard of an evaluation: verdict, evidence, and the rows behind both, which all filter each other. The page
   is handed everything at once and asks no kernel. */

const AT_ONCE = 100, WORDS_SHOWN = 60, MOST_COMPARED = 250000, LIKE = 0.25, TYPING_MS = 200, NARROW = 720;
const LOOKS = { __proto__: null, ship: "verdict", hold: "verdict.bad", undecided: "verdict.noise" };
const HELP = "↑ ↓ or j k move · Enter opens · Escape closes · / searches";

const percent = (share) => `${(100 * share).toFixed(0)} %`;
const brief = (words) => cut(oneLine(words), WORDS_SHOWN);

// --- what differs

const WORD = /\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu;

/** Both texts as nodes, the words that only one of them has marked, unless they have little in common or are long. */
function compared(before, after) {
  const a = before.match(WORD) ?? [], b = after.match(WORD) ?? [], wide = b.length + 1;
  if (a.length * b.length > MOST_COMPARED) return [[before], [after]];
  const common = new Uint16Array((a.length + 1) * wide);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * wide + j] = a[i] === b[j] ? common[(i + 1) * wide + j + 1] + 1
        : max(common[(i + 1) * wide + j], common[i * wide + j + 1]);
    }
  }
  const left = [], right = [];
  let i = 0, j = 0, alike = 0;
  const add = (list, text, isCommon) => {
    if (list.at(-1)?.isCommon === isCommon) list.at(-1).text += text;
    else list.push({ text, isCommon });
  };
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      alike += a[i].trim() ? 1 : 0;
      add(left, a[i++], true);
      add(right, b[j++], true);
    } else if (j >= b.length || (i < a.length && common[(i + 1) * wide + j] >= common[i * wide + j + 1])) add(left, a[i++], false);
    else add(right, b[j++], false);
  }
  const words = [...a, ...b].filter((each) => each.trim()).length;
  if (2 * alike < LIKE * words) return [[before], [after]];
  const nodes = (list, tag) => list.map(({ text, isCommon }) => (isCommon ? text : h(tag, text)));
  return [nodes(left, "del"), nodes(right, "ins")];
}

// --- tables

/** A table of texts below its caption. `first(row, at)` may give a node for the first cell, `more` further columns. */
function textTable(table, { first = null, more = [] } = {}) {
  const side = (at) => (table.numeric.includes(at) ? "n" : "");
  const cell = (tag, at, words, attributes = {}) => h(side(at) ? `${tag}.n` : tag, attributes, words instanceof Node ? words : cut(shown(words), 300));
  const head = h("tr", ...table.header.map((words, at) => cell("th", at, words, { scope: "col" })), ...more.map((words) => h("th.n", { scope: "col" }, words)));
  const rows = table.rows.map((row, line) => h("tr", ...row.map((words, at) => (at ? cell("td", at, words)
    : h("th", { scope: "row" }, first?.(line, cut(shown(words), 300)) ?? cut(shown(words), 300)))), ...more.map(() => h("td.n"))));
  const node = h("table", h("caption", shown(table.caption)), h("thead", head), h("tbody", ...rows));
  return { node: scrolled(node, table.caption), rows };
}
const scrolled = (wide, label) => h("div.scroll", { tabindex: 0, role: "region", "aria-label": shown(label) }, wide);
const exampleTable = (header, rows) => h("table", h("thead", h("tr", ...header.map((words) => h("th", { scope: "col" }, words)))),
  h("tbody", ...rows.map((row) => h("tr", ...row.map((nodes) => h("td", ...[nodes].flat()))))));
const fold = (words, ...parts) => h("details", h("summary", words), ...parts);

// --- the view

/** Draw the dashboard of a widget's model in `el`; gives the function that takes it away. */
export function mount(el, model) {
  const root = makeRoot("dashboard");
  const update = () => {
    const state = model.get("state") ?? {};
    put(root, "aria-label", `Evaluation of ${shown(state.name)}`);
    root.replaceChildren(state.rows ? makeView(state) : h("p", { role: "status" }, "Nothing was evaluated yet."));
  };
  keepKeys(root);
  listen(root, "keydown", (event) => {       // which clears the search
    if (event.target.type === "search" && event.key === "Escape") event.stopPropagation();
  });
  const unhear = hear(model, { "change:state": update });
  update();
  const remove = attach(root, el, NARROW);
  return () => {
    unhear();
    remove();
  };
}

function makeView(state) {
  const { contenders, tuned, rows } = state;
  const title = (at) => brief(contenders[at]?.title);
  const score = (row, at) => row.answers[at]?.[1] ?? null, hit = (row, at) => row.answers[at]?.[2] ?? null;
  const sure = (row) => row.answers[tuned]?.[3] ?? null, label = (row, at) => row.answers[at]?.[4] ?? null;
  const hasHits = rows.some((row) => hit(row, tuned) !== null), hasSure = rows.some((row) => sure(row) !== null);
  const scoreWords = (value) => (value === null ? "" : state.isShare ? percent(value) : String(+value.toPrecision(3)));
  let filters = [], rival = state.baseline ?? contenders.findIndex((_, at) => at !== tuned), order = hasHits ? "worst" : "row";
  const drawn = [];       // what is drawn anew when the filters change

  /** How much better the tuned model's score is than another's. */
  function lead(row, at) {
    const own = score(row, tuned), other = score(row, at);
    return own === null || other === null ? null : (own - other) * (state.isBetterHigh ? 1 : -1);
  }
  const passing = (but = "") => rows.filter((row) => filters.every((each) => each.key === but || each.test(row)));
  const isOn = (key, value) => filters.some((each) => each.key === key && each.value === value);

  /** One filter a key; the same one again takes it away. */
  function setFilter(key, value, words, test) {
    const wasOn = isOn(key, value);
    filters = filters.filter((each) => each.key !== key);
    if (!wasOn && test) filters.push({ key, value, words, test });
    list.renew();
    for (const draw of drawn) draw();
  }
  function clear() {
    filters = [];
    search.value = "";
    setFilter("", null, "", null);
  }
  const filterWrong = (at) => (hasHits
    ? setFilter("contender", at, `${title(at)} ${state.wrong}`, (row) => hit(row, at) === false)
    : setFilter("contender", at, `${title(at)} differs from ${title(tuned)}`, (row) => row.answers[at]?.[0] !== row.answers[tuned]?.[0]));
  const filterSlice = (column, value) => setFilter(`slice ${column}`, value, `${brief(column)}: ${brief(value)}`,
    (row) => row.slices.some(([name, each]) => name === column && each === value));

  // --- the contenders

  function makeForest() {
    const lines = contenders.map((each, at) => {
      const [low, value, high] = each.places, track = h("span.track", { "aria-hidden": true });
      for (const [place] of state.ticks) track.append(stand(h("span.tick"), place));
      if (low !== null && high !== null) track.append(stand(h("span.bar"), low, high - low));
      if (value !== null) track.append(stand(h("span.mark"), value));
      const here = h("span.sub.here"), node = button("", () => filterWrong(at), { title: shown(each.detail) });
      node.className = `ftn-contender ftn-is-${each.kind}`;
      node.append(h("span.who", title(at)), track, h("span.value", h("span", each.words), here));
      return { node, here, at };
    });
    const axis = h("span.track", ...state.ticks.map(([place, words]) => stand(h("span.sub"), place, null, words)));
    const foot = h("div.axis", { "aria-hidden": true }, h("span"), axis, h("span"));
    const node = h("div.forest", { role: "group", "aria-label": `${state.metric} of each contender` },
      h("p.sub", `${state.metric} with 95 % intervals${hasHits ? ` · press one for its rows that are ${state.wrong}` : ""}`), ...lines.map((each) => each.node), foot);
    drawn.push(() => {
      for (const { node: line, here, at } of lines) {
        const seen = passing("contender").map((row) => hit(row, at)).filter((each) => each !== null);
        const some = filters.some((each) => each.key !== "contender") && seen.length;
        const words = some ? `shown: ${percent(seen.filter(Boolean).length / seen.length)}` : "";
        say(here, words);
        put(line, "aria-pressed", isOn("contender", at));
        put(line, "aria-label", `${title(at)}: ${contenders[at].words}${words ? `; of the rows ${words}` : ""}. ${hasHits ? `Show the rows where it is ${state.wrong}` : "Show the rows where it differs"}.`);
      }
    });
    return node;
  }
  /** Put a node at a place between 0 and 1 of its parent. */
  function stand(node, place, width = null, words = "") {
    node.style.left = `${100 * within(0, place, 1)}%`;
    if (width !== null) node.style.width = `${100 * width}%`;
    if (words) node.append(words);
    return node;
  }

  // --- the evidence

  function makeFigures() {
    const parts = [];
    if (state.tables.figures) parts.push(textTable(state.tables.figures).node);
    if (state.tables.differences) {
      const marks = [];
      parts.push(textTable(state.tables.differences, { first: (line, words) => {
        const at = state.against[line];
        if (at === null) return words;
        const node = button(words, () => {
          setRival(at);
          setFilter("against", at, `${title(tuned)} and ${title(at)} differ`, (row) => row.answers[at]?.[0] !== row.answers[tuned]?.[0]);
        }, { title: "Show the rows where the answers differ" });
        marks.push([node, at]);
        return node;
      } }).node);
      drawn.push(() => marks.forEach(([node, at]) => put(node, "aria-pressed", isOn("against", at))));
    }
    return parts;
  }

  function makeConfusion() {
    if (!state.labels.length || !state.confusion.some(Boolean)) return [];
    let who = state.confusion[tuned] ? tuned : state.confusion.findIndex(Boolean);
    const names = [...state.labels.map(brief), "no label"], used = names.map((_, at) => at);
    const some = (at) => rows.some((row) => row.truth === at || contenders.some((_, each) => label(row, each) === at));
    const last = names.length - 1, kept = used.filter((at) => at < last || some(at));
    const truths = used.filter((at) => at < last || rows.some((row) => row.truth === at)), cells = [];
    const body = truths.map((truth) => h("tr", h("th", { scope: "row" }, names[truth]), ...kept.map((said) => {
      const node = button("", () => {
        const by = who;
        setFilter("cell", `${by} ${truth} ${said}`, `${names[truth]} → ${names[said]} by ${title(by)}`, (row) => row.truth === truth && label(row, by) === said);
      });
      cells.push({ node, truth, said, cell: h("td.n", node) });
      return cells.at(-1).cell;
    })));
    const caption = h("caption"), pick = choice("Whose answers", state.confusion.flatMap((each, at) => (each ? [[at, title(at)]] : [])), (value) => {
      who = Number(value);
      draw();
    });
    pick.value = who;
    function draw() {
      const seen = passing("cell"), counts = new Map(), totals = new Map();
      for (const row of seen) {
        const said = label(row, who), key = `${row.truth} ${said}`;
        if (said === null) continue;
        counts.set(key, (counts.get(key) ?? 0) + 1);
        totals.set(row.truth, (totals.get(row.truth) ?? 0) + 1);
      }
      say(caption, `Labels taken for others: ${title(who)}${filters.some((each) => each.key !== "cell") ? ", rows shown" : ""}`);
      for (const { node, cell, truth, said } of cells) {
        const count = counts.get(`${truth} ${said}`) ?? 0, on = isOn("cell", `${who} ${truth} ${said}`);
        const shade = count ? max(1, round((5 * count) / totals.get(truth))) : 0;
        cell.className = `ftn-n ftn-shade${shade}${truth === said ? " ftn-hit" : ""}`;
        say(node, count ? whole(count) : "·");
        put(node, "aria-pressed", on);
        put(node, "aria-disabled", !count && !on ? true : null);
        put(node, "aria-label", `${names[truth]} answered ${names[said]}: ${counted(count, "row")}`);
      }
    }
    drawn.push(draw);
    const head = h("tr", h("th", { scope: "col" }, "true ↓, answered →"), ...kept.map((at) => h("th.n", { scope: "col" }, names[at])));
    const table = h("table.confusion", caption, h("thead", head), h("tbody", ...body));
    return [h("p", "Whose answers: ", pick), scrolled(table, "confusion matrix")];
  }

  function makeSlices() {
    const parts = [];
    if (state.tables.slices) {
      const nodes = [];
      const made = textTable(state.tables.slices, { more: ["rows shown"], first: (line, words) => {
        const [column, value] = state.slices[line], node = button(words, () => filterSlice(column, value));
        nodes.push(node);
        return node;
      } });
      drawn.push(() => made.rows.forEach((line, at) => {
        const [column, value] = state.slices[at];
        put(nodes[at], "aria-pressed", isOn(`slice ${column}`, value));
        say(line.lastChild, whole(passing(`slice ${column}`).filter((row) => row.slices.some(([name, each]) => name === column && each === value)).length));
      }));
      parts.push(made.node);
    }
    if (state.tables.gaps) parts.push(textTable(state.tables.gaps).node);
    return parts;
  }

  function makeConfidence() {
    const parts = [];
    if (state.words.calibration) parts.push(h("p", state.words.calibration));
    if (state.bins.length) parts.push(makeBins());
    if (state.coverage.length) parts.push(makeCoverage());
    return parts;
  }
  function makeBins() {
    /** The last bin that begins at or below a row's confidence: where bins touch, or leave gaps, no row is lost. */
    const isIn = (row, at) => sure(row) !== null && state.bins.findLastIndex(([low]) => low <= sure(row)) === at;
    const columns = state.bins.map(([low, high, confidence, accuracy], at) => {
      const words = `${low.toFixed(2)} to ${high.toFixed(2)}`, bar = h("span.right"), line = h("span.level");
      bar.style.height = `${100 * accuracy}%`;
      line.style.bottom = `${100 * confidence}%`;
      const count = h("span.sub"), node = button("", () => setFilter("bin", at, `confidence ${words}`, (row) => isIn(row, at)));
      node.append(h("span.plot", { "aria-hidden": true }, bar, line), h("span.sub", words), count);
      return { node, count, at, words: `Confidence ${words}: ${percent(confidence)} sure, ${percent(accuracy)} right` };
    });
    drawn.push(() => columns.forEach(({ node, count, at, words }) => {
      const seen = passing("bin").filter((row) => isIn(row, at)).length;
      say(count, counted(seen, "row"));
      put(node, "aria-pressed", isOn("bin", at));
      put(node, "aria-label", `${words}; ${counted(seen, "row")}`);
    }));
    return h("figure.figure", h("figcaption", h("b", "Reliability"), h("span.sub", " bar: share right · line: mean confidence · they meet where confidence means what it says")),
      h("div.bins", { role: "group", "aria-label": "Reliability by confidence" }, ...columns.map((each) => each.node)));
  }
  function makeCoverage() {
    const points = [...state.coverage].sort((one, two) => one[1] - two[1]), [wide, tall] = [300, 130];
    const x = (share) => 34 + share * (wide - 50), y = (share) => 10 + (1 - share) * (tall - 32);
    const svg = s("svg", { viewBox: `0 0 ${wide} ${tall}`, role: "img", "aria-label": "Share right among the surest answers, by the share that is answered" });
    for (const share of [0, 0.5, 1]) {
      svg.append(s("line", { class: "ftn-rule", x1: x(0), x2: x(1), y1: y(share), y2: y(share) }), s("text", { x: x(0) - 4, y: y(share) + 4, "text-anchor": "end" }, percent(share)),
        s("text", { x: x(share), y: tall - 6, "text-anchor": "middle" }, percent(share)));
    }
    svg.append(s("path", { class: "ftn-curve", d: `M${points.map(([, coverage, accuracy]) => `${x(coverage).toFixed(1)} ${y(accuracy).toFixed(1)}`).join("L")}` }));
    const edge = s("line", { class: "ftn-edge", y1: y(1), y2: y(0) });
    svg.append(edge);
    const byThreshold = [...state.coverage].sort((one, two) => one[0] - two[0]), wanted = state.threshold ?? byThreshold[0][0];
    const nearest = byThreshold.reduce((best, each, at) => (abs(each[0] - wanted) < abs(byThreshold[best][0] - wanted) ? at : best), 0);
    const slider = h("input", { type: "range", min: 0, max: byThreshold.length - 1, step: 1, "aria-label": "Hand over below this confidence", ...TYPED });
    slider.value = nearest;
    const words = h("p", { role: "status" }), press = button("Show what is handed over", () => {
      const limit = byThreshold[slider.value][0];
      setFilter("below", limit, `confidence below ${limit.toFixed(2)}`, (row) => sure(row) !== null && sure(row) < limit);
    });
    function draw() {
      const [limit, coverage, accuracy] = byThreshold[slider.value];
      say(words, `Below ${limit.toFixed(2)}: ${percent(1 - coverage)} handed over; of the others ${percent(accuracy)} are right.`);
      put(slider, "aria-valuetext", `${limit.toFixed(2)}`);
      put(edge, "x1", x(coverage));
      put(edge, "x2", x(coverage));
      put(press, "aria-pressed", isOn("below", limit));
    }
    listen(slider, "input", draw);
    drawn.push(draw);
    return h("figure.figure", h("figcaption", h("b", "Hand over"), h("span.sub", " share right among the surest answers, by the share that is answered")), svg, slider, words, press);
  }

  function makeForgetting() {
    const parts = [];
    if (state.words.forgetting) parts.push(h("p", state.words.forgetting));
    for (const name of ["fields", "tasks"]) if (state.tables[name]) parts.push(textTable(state.tables[name]).node);
    if (state.fallen.length) {
      parts.push(fold(`${counted(state.fallen.length, "question")} that only the base model answered`,
        scrolled(exampleTable(["field", "question", "expected", "tuned"], state.fallen.map((row) => row.map(shown))), "fallen questions")));
    }
    if (state.drifted.length) {
      const told = state.drifted.map(([prompt, before, after]) => [shown(prompt), ...compared(shown(before), shown(after))]);
      parts.push(fold("Answers to general prompts that moved furthest", scrolled(exampleTable(["prompt", "base", "tuned"], told), "answers to general prompts")));
    }
    return parts;
  }
  function makeHard() {
    const parts = state.tables.hard ? [textTable(state.tables.hard).node] : [];
    for (const suite of state.hard) {
      const cases = [...suite.cases].sort((one, two) => Number(one[3]) - Number(two[3])), failed = cases.filter((each) => !each[3]).length;
      if (!cases.length) continue;
      const told = cases.map(([prompt, answer, base, isHandled, wasHandled, why]) => [isHandled ? "✓ handled" : `✗ ${shown(why)}`, shown(prompt), shown(answer), `${wasHandled ? "✓" : "✗"} ${shown(base)}`]);
      parts.push(fold(`${brief(suite.title)}: ${whole(failed)} of ${counted(cases.length, "input")} not handled`, scrolled(exampleTable(["", "input", "tuned", "base"], told), "hard inputs")));
    }
    return parts;
  }
  const tableOf = (name) => () => (state.tables[name] ? [textTable(state.tables[name]).node] : []);

  function makeTabs() {
    const made = [["Figures", makeFigures], ["Labels", makeConfusion], ["Slices", makeSlices], ["Confidence", makeConfidence], ["Forgetting", makeForgetting],
      ["Fit", () => (state.words.fit ? [h("p", state.words.fit)] : [])], ["Hard inputs", makeHard], ["Preferences", tableOf("preferences")], [shown(state.tables.gates?.caption), tableOf("gates")]]
      .map(([name, make]) => ({ name, parts: make() })).filter(({ parts }) => parts.length);
    const uid = newId();
    const tabs = made.map(({ name }, at) => button(name, () => pick(at), { role: "tab", id: `${uid}-tab-${at}`, "aria-controls": `${uid}-${at}` }));
    const panels = made.map(({ parts }, at) => h("div.panel", { role: "tabpanel", id: `${uid}-${at}`, "aria-labelledby": `${uid}-tab-${at}` }, ...parts));
    function pick(at) {
      tabs.forEach((tab, each) => {
        put(tab, "aria-selected", each === at);
        put(tab, "tabindex", each === at ? 0 : -1);
        show(panels[each], each === at);
      });
    }
    const bar = h("div.tabs", { role: "tablist", "aria-label": "Evidence", ...OWN_KEYS }, ...tabs);
    listen(bar, "keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (!step) return;
      const at = within(0, tabs.indexOf(event.target) + step, tabs.length - 1);
      pick(at);
      tabs[at].focus();
      event.preventDefault();
      event.stopPropagation();
    });
    if (tabs.length) pick(0);
    return [bar, ...panels];
  }

  // --- the rows

  const search = h("input", { type: "search", placeholder: "Search prompts and answers", "aria-label": "Search prompts and answers", ...TYPED });
  const count = h("p.count", { role: "status" }), chips = h("div.chips", { role: "group", "aria-label": "Filters" });
  const quick = h("div.chips", { role: "group", "aria-label": "Outcomes" });
  const wipe = button("Clear all", () => {
    clear();
    search.focus();
  });
  const others = contenders.flatMap((_, at) => (at === tuned ? [] : [[at, title(at)]]));
  const against = choice("Compare with", others, (value) => setRival(Number(value)));
  const orders = [...(hasHits && hasSure ? [["worst", "surest mistakes first"]] : hasHits ? [["worst", "mistakes first"]] : []), ["row", "in order of the data"],
    ...(hasSure ? [["unsure", "least sure first"]] : [])];
  const sorted = choice("Order", orders, (value) => {
    order = value;
    list.renew();
    list.draw();
  });
  sorted.value = order;
  const list = makeList();
  let typing;

  function setRival(at) {
    rival = at;
    against.value = at;
    filters = filters.filter((each) => each.key !== "outcome");
    setFilter("", null, "", null);
  }
  function outcomes() {
    const other = title(rival), found = [];
    if (hasHits) found.push([state.wrong === "wrong" ? "Tuned wrong" : `Tuned ${state.wrong}`, (row) => hit(row, tuned) === false]);
    if (rival >= 0 && rows.some((row) => lead(row, rival) !== null)) {
      const isPlain = hasHits && state.wrong === "wrong";
      found.push([isPlain ? `Tuned wrong · ${other} right` : `Tuned worse than ${other}`, (row) => lead(row, rival) < 0],
        [isPlain ? `Tuned right · ${other} wrong` : `Tuned better than ${other}`, (row) => lead(row, rival) > 0]);
      if (isPlain) found.push(["Both wrong", (row) => hit(row, tuned) === false && hit(row, rival) === false]);
    }
    if (rows.some((row) => row.isSeen)) found.push(["Seen in training", (row) => row.isSeen]);
    return found;
  }
  listen(search, "input", () => {
    clearTimeout(typing);
    typing = setTimeout(searchNow, TYPING_MS);
  });
  function searchNow() {
    clearTimeout(typing);
    const words = search.value.trim(), folded = words.toLowerCase();
    if (words === (filters.find((each) => each.key === "search")?.value ?? "")) return;
    const texts = (row) => [row.prompt, row.reference, ...row.answers.map((each) => each?.[0] ?? "")];
    setFilter("search", words, `contains ${brief(words)}`, words ? (row) => texts(row).some((each) => each.toLowerCase().includes(folded)) : null);
  }
  function drawTools() {
    const found = outcomes();
    quick.replaceChildren(...found.map(([words, test]) => button(`${words} ${whole(passing("outcome").filter(test).length)}`,
      () => setFilter("outcome", words, words, test), { "aria-pressed": isOn("outcome", words) })));
    chips.replaceChildren(...filters.map(({ key, words }) => button(`${words} ✕`, () => {
      if (key === "search") search.value = "";
      filters = filters.filter((each) => each.key !== key);
      setFilter("", null, "", null);
      (chips.querySelector("button") ?? search).focus();
    }, { "aria-label": `Remove the filter: ${words}` })));
    show(wipe, filters.length);
    if (filters.length) chips.append(wipe);
    show(chips, filters.length);
  }
  /** Redrawn buttons lose the focus; it goes to their successor. */
  drawn.push(() => {
    const places = [...quick.children], at = places.indexOf(document.activeElement);
    drawTools();
    if (at >= 0) quick.children[at]?.focus();
  });

  function makeList() {
    let found = [], limit = AT_ONCE, active = 0, isOpen = false;
    const head = h("tr"), body = h("tbody"), more = button("", () => {
      limit += AT_ONCE;
      draw();
    });
    const none = h("p.sub", "No row matches.");
    const grid = h("div.rows", { role: "region", "aria-label": "Rows", tabindex: -1 }, h("table", h("thead", head), body), none, more);
    const pane = makePane({ step: (by) => go(active + by), close });
    const node = h("div.list", { ...OWN_KEYS }, grid, pane.node, h("p.sub.help", HELP));

    function renew() {
      found = passing();
      const last = (row) => sure(row) ?? 2;
      const ranks = {
        worst: (one, two) => (hit(two, tuned) === false) - (hit(one, tuned) === false)
          || (hit(one, tuned) === false ? (sure(two) ?? 0) - (sure(one) ?? 0) : last(one) - last(two)),
        unsure: (one, two) => last(one) - last(two),
      };
      if (ranks[order]) found = [...found].sort(ranks[order]);
      limit = AT_ONCE;
      active = 0;
      isOpen = false;
    }
    const mark = (row, at) => ({ true: "✓ ", false: "✗ ", null: "" }[hit(row, at)]);
    const answer = (row, at) => (row.answers[at] ? `${mark(row, at)}${cut(oneLine(row.answers[at][0])) || "(empty)"}` : "–");
    function draw() {
      const names = ["row", "prompt", "reference", ...(rival >= 0 ? [title(rival)] : []), title(tuned), ...(hasSure ? ["sure"] : [])];
      const last = names.length - 1, kinds = names.map((_, at) => (at === 0 || (hasSure && at === last) ? "n" : at === 2 || (rival >= 0 && at === 3) ? "wide" : ""));
      head.replaceChildren(...names.map((name, at) => h(kinds[at] ? `th.${kinds[at]}` : "th", { scope: "col" }, name)));
      body.replaceChildren(...found.slice(0, limit).map((row, at) => {
        const open = button(whole(row.row), (event) => { event.stopPropagation(); toggle(at); }, { "aria-label": `Open row ${row.row}` });
        const texts = [cut(oneLine(row.prompt)), cut(oneLine(row.reference)), ...(rival >= 0 ? [answer(row, rival)] : []), answer(row, tuned),
          ...(hasSure ? [sure(row) === null ? "–" : sure(row).toFixed(2)] : [])];
        const line = h("tr", h("th.n", { scope: "row" }, open), ...texts.map((words, each) => h(kinds[each + 1] ? `td.${kinds[each + 1]}` : "td", words)));
        line.open = open;
        listen(line, "click", () => toggle(at));
        return line;
      }));
      const rest = found.length - limit, right = found.map((row) => hit(row, tuned)).filter((each) => each !== null);
      show(more, rest > 0);
      say(more, `Show ${counted(min(rest, AT_ONCE), "more row")} of ${whole(rest)}`);
      show(none, !found.length);
      const words = filters.length ? `${whole(found.length)} of ${counted(rows.length, "row")}` : counted(rows.length, "row");
      say(count, `${words}${right.length ? ` · tuned ${state.right} in ${percent(right.filter(Boolean).length / right.length)}` : ""}`);
      point();
    }
    /** Which row is the active one, and open. */
    function point() {
      [...body.children].forEach((line, at) => {
        line.classList.toggle("ftn-active", at === active && isOpen);
        put(line.open, "tabindex", at === active ? 0 : -1);
        put(line.open, "aria-expanded", isOpen && at === active);
      });
      show(pane.node, isOpen);
      if (isOpen) pane.fill(found[active], active, found.length);
    }
    function go(at) {
      if (!found.length) return;
      active = within(0, at, found.length - 1);
      if (active >= limit) {
        limit += AT_ONCE;
        draw();
      } else point();
      const line = body.children[active], top = line.offsetTop - head.offsetHeight;
      if (top < grid.scrollTop) grid.scrollTop = top;
      else if (line.offsetTop + line.offsetHeight > grid.scrollTop + grid.clientHeight) grid.scrollTop = line.offsetTop + line.offsetHeight - grid.clientHeight;
      if (!pane.node.contains(document.activeElement)) line.open.focus({ preventScroll: true });
    }
    function toggle(at) {
      isOpen = !(isOpen && at === active);
      go(at);
    }
    function close() {
      isOpen = false;
      point();
      body.children[active]?.open.focus({ preventScroll: true });
    }
    listen(node, "keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.target.localName === "summary") return;
      const steps = { j: () => go(active + 1), ArrowDown: () => go(active + 1), k: () => go(active - 1), ArrowUp: () => go(active - 1),
        Home: () => go(0), End: () => go(Infinity), "/": () => search.focus(), ...(isOpen ? { Escape: close } : {}) };
      if (!Object.hasOwn(steps, event.key)) return;
      steps[event.key]();
      event.preventDefault();
      event.stopPropagation();
    });
    listen(search, "keydown", (event) => {
      if (event.key === "Escape") search.value = "";
      if (event.key === "Escape" || event.key === "Enter") searchNow();
      if (event.key === "ArrowDown" || event.key === "Enter") {
        go(active);
        event.preventDefault();
      }
    });
    return { node, draw, renew, pane };
  }

  /** A row with everything that was answered to it, side by side. */
  function makePane({ step, close }) {
    let now = null;
    const training = new Map((state.training ?? []).map(([number, ...texts]) => [number, texts.map(shown)])), nearId = newId();
    const place = h("span.sub", { role: "status" }), name = h("b"), prompt = h("p.text"), answers = h("div.answers"), about = h("div.about");
    const previous = button("Previous", () => step(-1)), next = button("Next", () => step(1));
    const node = h("div.pane", { role: "region", "aria-label": "Row", hidden: "" },
      h("div.buttons", name, place, previous, next, button("Close", close)), prompt, answers, about);

    function block(heading, kind, nodes, below) {
      return h("div.answer", h(`p.sub${kind}`, heading), h("div.text", ...(nodes.length ? nodes : [h("span.sub", "(empty)")])), h("p.sub", below));
    }
    /** An answer with what the reference has not marked; one of blanks alone shows them. */
    function told(reference, words) {
      if (words && !words.trim()) return [h("span.sub", cut(oneLine(words)))];
      return compared(reference, words)[1].filter((one) => one !== "");
    }
    /** The training examples most like a row; of those that the page was handed, a click shows text and target. */
    function near(row) {
      if (!row.nearest.some((number) => training.has(number))) return [h("p.sub", `Nearest in the training data: ${row.nearest.length === 1 ? "row" : "rows"} ${row.nearest.map(whole).join(", ")}.`)];
      const seen = h("div.answers", { id: nearId, role: "group", "aria-label": "Training example", hidden: "" });
      const presses = row.nearest.map((number) => (training.has(number) ? button(`row ${whole(number)}`, (event) => {
        const isOpen = event.currentTarget.getAttribute("aria-expanded") === "true", [prompt, target] = training.get(number);
        for (const each of presses) if (each.localName === "button") put(each, "aria-expanded", each === event.currentTarget && !isOpen);
        seen.replaceChildren(block(`training row ${whole(number)}`, "", prompt ? [prompt] : [], ""), block("its target", "", target ? [target] : [], ""));
        show(seen, !isOpen);
      }, { "aria-expanded": false, "aria-controls": nearId }) : h("span.sub", `row ${whole(number)}`)));
      return [h("div.chips", { role: "group", "aria-label": "Nearest in the training data" }, h("span.sub", "Nearest in the training data:"), ...presses), seen];
    }
    function fill(row, at, all) {
      now = row;
      say(name, `Row ${whole(row.row)}`);
      say(place, `${whole(at + 1)} of ${whole(all)}`);
      put(node, "aria-label", `Row ${row.row}, ${at + 1} of ${all}`);
      put(previous, "aria-disabled", at === 0 ? true : null);
      put(next, "aria-disabled", at === all - 1 ? true : null);
      say(prompt, shown(row.prompt));
      const reference = shown(row.reference), own = shown(row.answers[tuned]?.[0]);
      const wanted = compared(reference, own)[0].filter((each) => each !== ""), isMarked = wanted.some((each) => each instanceof Node);
      const blocks = [block("reference", "", wanted, isMarked ? "struck out: not in the tuned answer" : "")];
      row.answers.forEach((each, who) => {
        const verdict = { true: `✓ ${state.right}`, false: `✗ ${state.wrong}`, null: "" }[each?.[2] ?? null];
        const below = each ? [verdict, state.wrong === "wrong" && verdict ? "" : scoreWords(each[1]), each[3] === null ? "" : `${each[3].toFixed(2)} sure`].filter(Boolean).join(" · ") : "no answer";
        blocks.push(block(title(who), who === tuned ? ".own" : "", each ? told(reference, shown(each[0])) : [], below));
      });
      answers.replaceChildren(...blocks);
      const notes = [];
      if (row.isSeen) notes.push(h("p.warning", "It, or a near copy, is among the training examples."));
      if (row.nearest.length) notes.push(...near(row));
      if (row.slices.length) notes.push(h("div.chips", { role: "group", "aria-label": "Slices of this row" }, ...row.slices.map(([column, value]) => button(`${brief(column)}: ${brief(value)}`, () => filterSlice(column, value)))));
      about.replaceChildren(...notes);
    }
    return { node, fill };
  }

  // --- all of it

  const tools = h("div.tools", search, ...(others.length ? [h("label", "against ", against)] : []), ...(orders.length > 1 ? [h("label", "order ", sorted)] : []), count);
  const reasons = h("ul.reasons", { "aria-label": "Reasons" }, ...state.reasons.map(([isGood, words]) => h("li",
    h(isGood ? "b.good" : "b.poor", { role: "img", "aria-label": isGood ? "for it:" : "against it:" }, isGood ? "✓" : "✗"), ` ${shown(words)}`)));
  const notes = state.notes.map((words) => h("p.info", h("b", { "aria-hidden": true }, "●"), h("span", shown(words))));
  const beside = h("div.beside", makeForest(), ...(state.tables.glance ? [textTable(state.tables.glance).node] : []));
  const node = h("div.worth", h(`p.${LOOKS[state.kind] ?? LOOKS.undecided}`, h("b", { "aria-hidden": true }, state.sign), " ", h("span", shown(state.verdict))),
    ...(state.reasons.length ? [reasons] : []), ...notes, h("p.sub", h("b", shown(state.name)), ` · ${shown(state.subject)}`), beside, ...makeTabs());
  if (rows.length) {
    node.append(h("div.title", { role: "heading", "aria-level": 3 }, "Rows"), tools, quick, chips, list.node);
    against.value = rival;
  }
  list.renew();
  drawn.push(list.draw);
  for (const draw of drawn) draw();
  return node;
}

export default { render: ({ model, el }) => mount(el, model) };
