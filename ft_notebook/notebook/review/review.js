/* A review: one item at a time, and a key for each verdict. The kernel has made everything in the data visible. One thing
   is asked at a time, and the next item is shown when the kernel says that the verdict is kept. */

const LONGEST_HEARD = 300;
const GONE = "The kernel of this view is gone. What you said is kept; to go on, run the cell again.";
const BUSY = "The kernel is busy with a cell; it keeps your verdict when that ends.";
const BLANK = { phase: "loading", noun: "item", can_keep: false, name: "", reviewer: "", question: "", count: 0, verdicts: [], item: null,
  judged: 0, can_undo: false, others: [], agreements: [], counts: [], result: [], problems: [] };

const key = (name) => h("kbd", { "aria-hidden": true }, name);

// --- the kernel

/** Asks one thing at a time: what is asked while an answer is awaited is not sent. */
function makeLine(model, { changed, answered }) {
  const line = { words: "", isWaiting: false, isLost: false };
  let id = firstNumber(), timer;

  function stop(words) {
    clearTimeout(timer);
    line.isWaiting = false;
    line.words = words;
    changed();
  }
  function take(message) {
    if (!line.isWaiting || message?.id !== id) return;
    stop("");
    answered(message);
  }
  function lose() {
    line.isLost = true;
    stop(GONE);
  }
  line.ask = (type, fields = {}) => {
    if (line.isWaiting || line.isLost) return false;
    line.isWaiting = true;
    timer = setTimeout(() => {
      line.words = BUSY;
      changed();
    }, PATIENCE_MS);
    model.send({ type, id: ++id, ...fields });
    changed();
    return true;
  };
  const unhear = hear(model, { "msg:custom": take, "comm:close": lose, comm_live_update: lose });
  line.end = () => {
    clearTimeout(timer);
    unhear();
  };
  return line;
}

// --- parts

/** A text with its label, that scrolls by itself. */
function makeText(kind, label) {
  const title = h("b", label), body = h("div.text", { tabindex: 0, role: "region", "aria-label": label });
  const node = h(`section.${kind}`, h("p.sub", title), body);
  return {
    node,
    fill([, text, more]) {
      body.replaceChildren(text || h("i.sub", "(empty)"), ...(more ? [h("span.sub", ` ${more}`)] : []));
      body.scrollTop = 0;
    },
  };
}

/** A line to write: Enter saves, Shift+Enter breaks the line, Escape leaves. */
function makeNote(saved, closed) {
  const area = h("textarea", { rows: 2, ...TYPED }), node = h("div.note", { hidden: "" });
  const note = { node, isOpen: false, open, close };

  function close() {
    note.isOpen = false;
    show(node, false);
    closed();
  }
  function accept() {
    const words = area.value;
    close();
    saved(words);
  }
  function open(words) {
    note.isOpen = true;
    area.value = words;
    show(node, true);
    area.focus();
  }
  node.append(h("label", "Note ", h("span.sub", "(Enter keeps it, Shift+Enter breaks the line, Escape leaves)"), area),
    h("div.buttons", button("Keep the note", accept), button("Cancel", close)));
  endByKey(area, accept, close);
  return note;
}

// --- the view

/** Draw the review of a widget's model in `el`; gives the function that takes it away. */
export function mount(el, model) {
  const line = makeLine(model, { changed: draw, answered });
  const link = h("p.warning", { role: "status", hidden: "" }), problem = h("p.error", { role: "alert", hidden: "" });
  const title = h("b"), kind = h("span.sub"), who = button("", () => line.ask("leave"));
  const bar = h("progress", { "aria-label": "Judged" }), progress = h("span.sub.count");
  const top = h("div.top", title, kind, h("span.space"), progress, who), question = h("p.question", h("b"), h("span"));
  const problems = h("div"), said = h("p.said.sub", { role: "status" }), heard = h("p.hear", { role: "status" });
  const loading = h("p.sub", { role: "status" }, "Reading the review…");

  const name = h("input", { type: "text", maxlength: 100, autocomplete: "off", ...TYPED });
  const begin = button("Begin", () => line.ask("begin", { reviewer: name.value }));
  const uid = newId();
  const asking = h("div.asking", h("p", { id: uid }, "Who is looking? Your name is kept with what you say."), name, begin);
  put(name, "aria-labelledby", uid);

  const heading = h("b"), state = h("span.chip"), reasons = h("ul.why"), texts = h("div.texts");
  const noted = h("p.noted.sub"), choices = h("div.choices", { role: "group", "aria-label": "Verdicts" });
  const back = button("", () => go(-1), { "aria-keyshortcuts": "ArrowLeft", "aria-label": "The previous one" });
  const next = button("", () => go(1), { "aria-keyshortcuts": "ArrowRight", "aria-label": "The next one" });
  const write = button("", openNote, { "aria-keyshortcuts": "n" });
  const undo = button("", () => line.ask("undo"), { "aria-keyshortcuts": "u" });
  back.append(key("←"), " Previous");
  next.append("Next ", key("→"));
  write.append(key("n"), " Note");
  undo.append(key("u"), " Undo");
  const note = makeNote(keepNote, () => { stage.focus({ preventScroll: true }); draw(); });
  const item = h("div", h("div.heading", heading, state), reasons, texts, noted, choices, note.node);

  const over = h("p.verdict", { role: "status" }), result = h("div"), counts = h("dl.counts");
  const data = button("Keep as preference data", () => line.ask("keep"));
  const done = h("div", over, counts, result, h("div.tools", data), h("p.sub", "With ← you can look again and change what you said."));
  const tools = h("div.tools", back, next, write, undo), others = h("ul.others");
  const stage = h("div.stage", { tabindex: 0, role: "group", ...OWN_KEYS }, question, item, done, tools, others);
  const root = makeRoot("review", link, problem, loading, top, bar, problems, asking, stage, said, heard);

  let now = { ...BLANK }, drawn = "", laid = "", parts = [], drafts = new Map(), isFirst = true;

  // --- what the user does

  const draft = () => drafts.get(now.item?.id) ?? now.item?.note ?? "";

  function judge(verdict) {
    if (now.phase === "item") line.ask("say", { item: now.item.id, verdict, note: draft() });
  }
  function go(step) {
    if (["item", "done"].includes(now.phase)) line.ask("go", { step });
  }
  function openNote() {
    if (now.phase !== "item") return;
    note.open(draft());
    draw();
  }
  function keepNote(words) {
    drafts.set(now.item.id, words);
    if (now.item.verdict !== null) line.ask("note", { item: now.item.id, note: words });
    draw();
  }
  function answered(message) {
    say(problem, "");
    if (message.ok) say(said, message.text);
    else say(problem, message.text);
    if (message.ok && message.type === "begin") stage.focus({ preventScroll: true });
    draw();
  }
  function press(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.isComposing || note.isOpen || now.phase === "name") return;
    const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const verdict = now.verdicts.find((each) => each.key === pressed);
    const isText = event.target.closest?.(".ftn-text") && ["ArrowUp", "ArrowDown"].includes(pressed);
    const does = { ArrowLeft: () => go(-1), ArrowRight: () => go(1), n: openNote, u: () => line.ask("undo") };
    if (isText || !(verdict || Object.hasOwn(does, pressed))) return;
    event.preventDefault();
    event.stopPropagation();        // JupyterLab's shortcuts listen further up
    if (event.repeat && !pressed.startsWith("Arrow")) return;
    if (verdict) judge(verdict.verdict);
    else does[pressed]();
  }

  // --- drawing

  function update() {
    now = { ...BLANK, ...model.get("state") };
    if (isFirst || (now.phase === "name" && name.value === "")) name.value = now.reviewer;
    isFirst = false;
    draw();
  }
  function draw() {
    const { phase } = now, isShown = phase === "item" || phase === "done";
    tell(link, line.words);
    show(problem, problem.textContent);
    show(loading, phase === "loading");
    show(top, phase !== "loading");
    show(asking, phase === "name");
    show(stage, isShown);
    show(bar, isShown);
    put(root, "aria-label", `Review of ${now.name}`);
    put(stage, "aria-busy", line.isWaiting);
    for (const each of root.querySelectorAll("button")) put(each, "aria-disabled", line.isWaiting || line.isLost ? true : null);
    if (phase === "loading") return;
    say(title, now.name);
    say(kind, `${now.noun === "pair" ? "blind review of pairs" : `review of ${now.noun}s`}`);
    say(progress, isShown ? `${whole(now.judged)} of ${counted(now.count, now.noun)} judged` : counted(now.count, now.noun));
    show(who, isShown);
    say(who, `${now.reviewer} · somebody else?`);
    put(bar, "max", now.count);
    put(bar, "value", now.judged);
    problems.replaceChildren(...now.problems.map((words) => h("p.warning", words)));
    if (!isShown) return;
    const [asked, ...criteria] = now.question.split("\n");
    say(question.firstChild, asked);
    say(question.lastChild, criteria.length ? `\n${criteria.join("\n")}` : "");
    show(question, phase === "item");
    put(stage, "aria-label", `${capital(now.noun)}s to judge; keys ${now.verdicts.map((each) => `${each.key} ${each.words}`).join(", ")}, n note, u undo, arrows move`);
    show(item, phase === "item");
    show(done, phase === "done");
    show(write, phase === "item");
    show(next, phase === "item");
    put(undo, "aria-disabled", !now.can_undo || line.isWaiting || line.isLost ? true : null);
    if (phase === "item") drawItem();
    else drawDone();
    say(heard, phase === "item" ? `${heading.textContent}. ${now.item.texts[0]?.[1].slice(0, LONGEST_HEARD) ?? ""}` : "");
    const told = [...now.others.map(([name, count]) => `${name} has judged ${whole(count)} of ${whole(now.count)}.`), ...now.agreements];
    others.replaceChildren(...told.map((words) => h("li", words)));
    show(others, told.length);
    if (isFocusLost(root)) stage.focus({ preventScroll: true });
  }
  function drawItem() {
    const one = now.item, isPair = now.noun === "pair", place = `${whole(one.place)} of ${whole(now.count)}`;
    say(heading, isPair ? `${capital(now.noun)} ${place}` : `${capital(one.title)} · ${place}`);
    const verdict = now.verdicts.find((each) => each.verdict === one.verdict);
    tell(state, verdict ? `you said: ${verdict.words}` : "");
    const labels = JSON.stringify([isPair, one.texts.map(([label]) => label)]);
    if (labels !== laid) {
      laid = labels;
      drawn = "";
      parts = one.texts.map(([label], at) => makeText(isPair ? (at ? "answer" : "prompt") : "field", isPair ? capital(label) : label));
      texts.replaceChildren(...parts.map((part) => part.node));
      texts.classList.toggle("ftn-pair", isPair);
    }
    if (drawn !== JSON.stringify(one.texts)) {
      drawn = JSON.stringify(one.texts);
      one.texts.forEach((text, at) => parts[at].fill(text));
    }
    reasons.replaceChildren(...one.why.map(([severity, words]) => h(`li.is-${severity in SIGNS ? severity : "notice"}`,
      h("span.sign", { "aria-hidden": true }, SIGNS[severity] ?? "●"), h("span", `${severity}: ${words}`))));
    show(reasons, one.why.length);
    tell(noted, draft() && !note.isOpen ? `Note: ${draft()}${one.verdict === null ? " (kept with your verdict)" : ""}` : "");
    if (choices.children.length !== now.verdicts.length) {
      choices.replaceChildren(...now.verdicts.map((each) => {
        const made = button("", () => judge(each.verdict), { "aria-keyshortcuts": each.key });
        made.append(key(each.key), h("span", h("b", capital(each.words)), ...(each.meaning ? [h("span.sub", each.meaning)] : [])));
        return made;
      }));
    }
    now.verdicts.forEach((each, at) => put(choices.children[at], "aria-pressed", each.verdict === one.verdict));
  }
  function drawDone() {
    show(data.parentNode, now.can_keep);
    say(over, `You have judged all ${counted(now.count, now.noun)}.`);
    counts.replaceChildren(...now.counts.map(([words, count]) => h("div", h("dt", words), h("dd", whole(count)))));
    result.replaceChildren(...now.result.map((words) => h("p", words)));
  }

  listen(stage, "keydown", press);
  listen(name, "keydown", (event) => {
    if (event.key !== "Tab") event.stopPropagation();
    if (event.key === "Enter" && !event.isComposing) begin.click();
  });
  keepKeys(root);
  const remove = attach(root, el, 620), unhear = hear(model, { "change:state": update });
  update();
  return () => {
    unhear();
    line.end();
    remove();
  };
}

export default { render: ({ model, el }) => mount(el, model) };
