/* The numbers of a data set as small charts, and the cell that trains on it. A part of the inspector's module. */

const CHART = { wide: 230, tall: 66 };

/** Lengths in tokens, with the line at which rows are cut where it is near. */
function makeHistogram({ title, bars, edges, limit, words }) {
  const first = edges[0], last = edges.at(-1), isNear = limit <= 1.6 * last;
  const end = isNear ? max(last, limit + 1) : last, most = max(1, ...bars.map(([, count]) => count));
  const x = (value) => ((value - first) / max(1, end - first)) * CHART.wide, tall = CHART.tall - 4;
  const boxes = bars.map(([name, count], at) => {
    const height = count ? max(2, (tall * count) / most) : 0, left = x(edges[at]);
    return s("rect", { x: left, y: CHART.tall - height, width: max(1, x(edges[at + 1]) - left - 1), height,
      class: edges[at] > limit ? "ftn-over" : "ftn-under-limit" }, s("title", {}, `${name} tokens: ${counted(count, "row")}`));
  });
  const line = isNear ? [s("line", { x1: x(limit), x2: x(limit), y1: 0, y2: CHART.tall, class: "ftn-limit" })] : [];
  const range = `${whole(first)} to ${whole(last - 1)} tokens`;
  const picture = s("svg", { viewBox: `0 0 ${CHART.wide} ${CHART.tall}`, width: CHART.wide, height: CHART.tall, role: "img",
    "aria-label": `${oneLine(title)}: ${range}; ${oneLine(words)}` }, ...boxes, ...line);
  return h("div.chart", h("b", oneLine(title)), picture, h("span.sub.caption", isNear ? `${range}, cut at ${whole(limit)}` : range),
    h("span.sub", oneLine(words)));
}

/** A few values, each with its bar and count. */
function makeLanes({ title, bars, more }) {
  const most = max(1, ...bars.map(([, count]) => count));
  const lanes = bars.map(([name, count]) => {
    const bar = h("i", { "aria-hidden": true });
    bar.style.width = `${(100 * count) / most}%`;
    return h("li", h("span.lane", { title: oneLine(name) }, oneLine(name) || "(empty)"), h("span.track", bar), h("span.n", whole(count)));
  });
  return h("div.chart", h("b", oneLine(title)), h("ul.lanes", ...lanes), ...(more > 0 ? [h("span.sub", `and ${whole(more)} more`)] : []));
}

function makeCharts() {
  const box = h("div.charts"), node = h("details.numbers", { open: "" }, h("summary", "Numbers"), box);
  let drawn = "";
  return {
    node,
    fill(charts) {
      const key = JSON.stringify(charts);
      show(node, charts.length);
      if (key === drawn) return;
      drawn = key;
      box.replaceChildren(...charts.map((chart) => (chart.edges.length ? makeHistogram(chart) : makeLanes(chart))));
    },
  };
}

/** How far the checks are, with a way to stop them and to go on. */
function makeWork(act) {
  const words = h("p", { role: "status" }), bar = h("progress", { max: 1, "aria-label": "Checks done" });
  const press = button("", () => act(press.act)), node = h("div.work", { hidden: "" }, words, bar, press);
  return {
    node,
    fill({ phase, words: said, share }) {
      const isWorking = phase === "working";
      show(node, ["working", "stopped", "failed"].includes(phase));
      say(words, oneLine(said));
      bar.value = share;
      show(bar, isWorking);
      press.act = isWorking ? "stop" : "start";
      say(press, isWorking ? "Stop" : "Go on");
      show(press, phase !== "failed");
    },
  };
}

/** The recipe that trains on these rows: put into a new cell where the page has a way to, else shown to be copied. */
function makeTraining(root, told) {
  const text = h("pre", { tabindex: 0, role: "region", "aria-label": "Recipe" }), note = h("p.sub");
  const node = h("div.training", { hidden: "" }, h("p.sub", "Put this into a new cell and run it:"), text, note,
    h("div.buttons", button("Copy", copy), button("Close", () => show(node, false))));
  let recipe = "";

  async function copy() {
    try {
      await navigator.clipboard.writeText(recipe);
      told("Copied.");
    } catch {                         // a page that may not write there
      getSelection().selectAllChildren(text);
      told("Selected; copy it with the keyboard.");
    }
  }
  return {
    node,
    open({ text: words, note: warning }) {
      recipe = words;
      say(text, shown(words));
      tell(note, shown(warning));
      const event = new CustomEvent("ft-notebook:insert-cell", { bubbles: true, cancelable: true, detail: { text: words } });
      const isInserted = !root.dispatchEvent(event);        // our extension of JupyterLab takes it
      show(node, !isInserted);
      if (isInserted) told(`A cell that trains on these rows is below. ${shown(warning)}`.trim());
      else text.focus();
    },
  };
}
