/* What the scripts of the views share: words, nodes, and the model of a widget. It stands in front of each of them, as a
   part of the same module. What comes from models and data only ever becomes a text node or an attribute's value, and
   nothing in it hides. */

const PATIENCE_MS = 2000;       // after which a page says that the kernel is busy
const SIGNS = { __proto__: null, blocks: "■", harms: "▲", notice: "●" };

const { abs, ceil, floor, max, min, random, round } = Math;
const within = (low, value, high) => max(low, min(high, value));
const whole = (value) => Number(value ?? 0).toLocaleString("en-US");
const counted = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;

// --- text

const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, LINE = { __proto__: null, "\n": "↵", "\t": "⇥" };

/** A sign for a character that would hide or reorder others. */
function sign(character) {
  const code = character.codePointAt(0);
  if (code < 32) return String.fromCodePoint(0x2400 + code);
  return code === 127 ? "\u2421" : `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}
/** Text with all of its characters in sight: on one line, or with its own line breaks. */
const oneLine = (words) => String(words ?? "").replace(HIDDEN, (each) => LINE[each] ?? sign(each));
const shown = (words) => String(words ?? "").replace(HIDDEN, (each) => (each in LINE ? each : sign(each)));
const cut = (words, longest = 160) => (words.length > longest ? `${words.slice(0, longest)}…` : words);
const capital = (words) => words.slice(0, 1).toUpperCase() + words.slice(1);

// --- nodes

/** `h("p.sub", {id}, "text", child)`: an element of class ftn-sub. */
function h(tag, ...parts) {
  const [name, ...classes] = tag.split("."), node = document.createElement(name);
  if (classes.length) node.className = classes.map((each) => `ftn-${each}`).join(" ");
  for (const part of parts) {
    if (typeof part === "string" || part instanceof Node) node.append(part);
    else for (const key in part) put(node, key, part[key]);
  }
  return node;
}

/** `s("line", {x1: 0}, child)`: a part of a drawing. */
function s(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name in attributes) put(node, name, attributes[name]);
  node.append(...children);
  return node;
}

/** Set an attribute where it differs; null takes it away. */
function put(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== `${value}`) node.setAttribute(name, value);
}

function say(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

const show = (node, isShown) => put(node, "hidden", isShown ? null : "");

function tell(node, words) {
  say(node, words);
  show(node, Boolean(words));
}

/** One child for each item, made once and filled at every update. */
function each(parent, items, make, fill) {
  while (parent.children.length > items.length) parent.lastChild.remove();
  while (parent.children.length < items.length) parent.append(make());
  items.forEach((item, at) => fill(parent.children[at], item, at));
}

const newId = () => `ftn-${random().toString(36).slice(2)}`;

// --- what the user does

const listen = (node, name, does, options) => node.addEventListener(name, does, options);
const TYPED = { "data-lm-suppress-shortcuts": true };
/* Of a part that answers to plain keys: none of them reaches JupyterLab, where `x` cuts the cell; Ctrl+S still does. */
const OWN_KEYS = { "data-ftn-keys": true };

function button(words, does, more = {}) {
  const node = h("button", { type: "button", ...more }, words);
  listen(node, "click", does);
  return node;
}

function choice(label, options, does) {
  const node = h("select", { "aria-label": label, ...TYPED });
  node.append(...options.map(([value, words]) => h("option", { value }, words)));
  listen(node, "change", () => does(node.value));
  return node;
}

/** A text area in which Enter accepts, Shift+Enter breaks the line and Escape leaves; its keys go no further. */
function endByKey(area, accept, leave) {
  listen(area, "keydown", (event) => {
    if (event.isComposing) return;
    if (event.key !== "Tab") event.stopPropagation();
    if (event.key !== "Escape" && (event.key !== "Enter" || event.shiftKey)) return;
    event.preventDefault();
    if (event.key === "Enter") accept();
    else leave();
  });
}

// --- a view and its model

/** The outermost node of a view, in which no mathematics is looked for. */
function makeRoot(name, ...parts) {
  const root = h(`div.${name}`, { role: "group" }, ...parts);
  root.classList.add("ftn", "tex2jax_ignore", "mathjax_ignore");
  return root;
}

/** Put a view on the page and mark it while it is narrow; gives the function that takes it away. */
function attach(root, el, narrow, changed = () => {}) {
  const fit = () => root.classList.toggle("ftn-narrow", root.clientWidth < narrow);
  const observer = new ResizeObserver(() => {
    fit();
    changed();
  });
  el.append(root);
  fit();
  observer.observe(root);
  return () => {
    observer.disconnect();
    root.remove();
  };
}

/** Keys that a part of the view takes for itself go no further: JupyterLab's shortcuts listen further up. */
function keepKeys(root) {
  listen(root, "keydown", (event) => {
    const { key, target, target: { localName } } = event, isPress = key === "Enter" || key === " ";
    const isTyped = localName === "select" || (["input", "textarea"].includes(localName) && key !== "Tab" && key !== "Escape");
    const isTaken = isTyped || (isPress && ["button", "summary"].includes(localName)) || target.closest("[data-ftn-keys]");
    if (isTaken && !event.ctrlKey && !event.metaKey) event.stopPropagation();
  });
}

/** The focus is on something of the view that is no longer in sight. */
const isFocusLost = (root) => root.contains(document.activeElement) && !document.activeElement.checkVisibility();

/** Hear a widget's model: `{name: does}`; gives the function that ends it. */
function hear(model, events) {
  for (const name in events) model.on(name, events[name]);
  return () => {
    for (const name in events) model.off(name, events[name]);
  };
}

/** A number to count on from, so that no other page of the same widget uses the same ones. */
const firstNumber = () => floor(random() * 1e9) * 1000;
