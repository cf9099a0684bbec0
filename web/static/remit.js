// What the pages do more when scripts run. Everything works without it.
"use strict";
document.documentElement.classList.add("scripted");

// Words of the job and the cards of the tools they ask for light up together.
function light(numbers, on) {
  for (const n of numbers) {
    document.getElementById("tool-" + n)?.classList.toggle("lit", on);
  }
  for (const words of document.querySelectorAll("[data-tools]")) {
    if (words.dataset.tools.trim().split(" ").some((n) => numbers.includes(n))) words.classList.toggle("lit", on);
  }
}
for (const el of document.querySelectorAll("[data-tools], [data-card]")) {
  const numbers = el.dataset.card ? [el.dataset.card] : el.dataset.tools.trim().split(" ");
  el.addEventListener("mouseenter", () => light(numbers, true));
  el.addEventListener("mouseleave", () => light(numbers, false));
  el.addEventListener("focusin", () => light(numbers, true));
  el.addEventListener("focusout", () => light(numbers, false));
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    const source = document.querySelector(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

// A draft arrives in steps, as server-sent events that answer the form. Where that does not work the form is sent as it is.
async function* eventsOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      const event = /^event: (.*)\ndata: (.*)$/.exec(text.slice(0, end));
      if (event) yield { name: event[1], data: JSON.parse(event[2]) };
    }
  }
}
const questions = { needs: "what the job needs", choose: "which tools to take", critique: "which of them could go" };
const many = (n, one) => n.toLocaleString("en-US") + " " + one + (n === 1 ? "" : "s");
function follow(form) {
  const dialog = document.querySelector(form.dataset.stream);
  const steps = Object.fromEntries([...dialog.querySelectorAll("[data-step]")].map((el) => [el.dataset.step, el]));
  const [list, status, open, cancel] = [".arrived ul", ".status", "a", "button"].map((of) => dialog.querySelector(of));
  const step = (name, state, text = "") => { steps[name].className = state; steps[name].querySelector("span").textContent = text; };
  const say = (text) => { status.textContent = text; };
  const stop = new AbortController();
  let kept = "";
  const rows = (items, text, why) => list.replaceChildren(...items.map((item) => {
    const row = make("li", "", "");
    row.append(make("p", "cardline", ""));
    row.firstChild.append(make("strong", "", text(item)), " ", make("span", "effect " + item.effect, item.effect));
    if (why) row.append(make("p", "dim", why(item)));
    return row;
  }));
  const take = { // by the name of the event
    needs(data) {
      step("needs", "done", many(data.needs.length, "need"));
      step("draft", "now", `${many(data.candidates, "candidate")} among ${many(data.tools, "tool")}`);
      rows(data.needs, (need) => "“" + need.text + "”");
      say("The job is read.");
    },
    draft(data) {
      kept = data.to;
      step("draft", "done", many(data.tools.length, "tool"));
      step("model", "now");
      rows(data.tools, (tool) => tool.tool, (tool) => tool.why);
      open.href = kept;
      open.hidden = false;
      open.textContent = "Take this draft";
      cancel.hidden = true;
      say(`A draft without the language model is saved. ${data.model} is asked to improve it.`);
      open.focus();
    },
    asking(data) { step("model", "now", questions[data.question] ?? ""); },
    done(data) {
      kept = data.to;
      step("draft", "done", many(data.tools.length, "tool"));
      if (data.model) step("model", data.failed ? "missed" : "done", data.failed ? "no answer that could be used" : "");
      say("Done.");
      location.assign(kept);
    },
    failed(data) {
      kept ||= data.to;
      ended(data.text);
    },
  };
  const ended = (why) => {
    for (const el of Object.values(steps)) if (el.className === "now") el.className = "missed";
    say(why + (kept ? " The draft without the language model is saved." : ""));
    open.hidden = !kept;
    open.textContent = "Open the draft";
    cancel.hidden = false;
    cancel.textContent = "Close";
  };
  for (const name of Object.keys(steps)) step(name, name === "model" ? "unseen" : "");
  step("needs", "now");
  list.replaceChildren();
  say("");
  open.hidden = true;
  cancel.hidden = false;
  cancel.textContent = "Cancel";
  cancel.onclick = () => dialog.close();
  open.onclick = () => stop.abort();
  dialog.onclose = () => { stop.abort(); if (kept) location.assign(kept); };
  dialog.showModal();
  return (async () => {
    let answer;
    try {
      answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "text/event-stream" }, signal: stop.signal });
      if (!answer.headers.get("Content-Type")?.startsWith("text/event-stream")) {
        dialog.onclose = null;
        dialog.close();
        form.submit(); // the page that comes says what is wrong
        return;
      }
      let last = "";
      for await (const event of eventsOf(answer)) take[last = event.name]?.(event.data);
      if (last !== "done" && last !== "failed") ended("The connection was cut.");
    } catch (err) {
      if (err.name !== "AbortError") ended(answer ? "The connection was cut." : "Remit did not answer. Nothing was made; what you typed is still here.");
    }
  })();
}
for (const form of document.querySelectorAll("form[data-stream]")) {
  form.addEventListener("submit", (event) => {
    if (!window.TextDecoderStream || !HTMLDialogElement.prototype.showModal) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    follow(form);
  });
}

for (const form of document.querySelectorAll("form[data-busy]")) {
  const button = form.querySelector("button");
  const busy = form.querySelector(".busy");
  form.addEventListener("submit", () => {
    busy.textContent = form.dataset.busy;
    button.disabled = true;
  });
  addEventListener("pageshow", () => { // also when the browser shows the page again from its memory
    busy.textContent = "";
    button.disabled = button.hasAttribute("data-off");
  });
}

for (const button of document.querySelectorAll("[data-expand]")) {
  button.addEventListener("click", () => {
    const all = [...document.querySelectorAll(button.dataset.expand + " details")];
    const open = !all.every((d) => d.open);
    for (const d of all) d.open = open;
    button.textContent = open ? "Close all definitions" : "Open all definitions";
  });
}

// Keys go through the tools of a draft or a review. Nothing is decided by a single key: what approves is pressed itself.
const tools = document.querySelector("#tools");
const keys = document.querySelector("#keys");
if (tools && keys) {
  const cards = [...tools.querySelectorAll("article[data-card]")];
  const ticks = [...tools.querySelectorAll("[data-read]")];
  const said = document.querySelector("[data-read-count]");
  const count = () => { if (said) said.textContent = `${ticks.filter((t) => t.checked).length} of ${ticks.length} read`; };
  for (const tick of ticks) { // what was read stays so while one writes comments, for the same definition
    const name = `read ${location.pathname} ${tick.dataset.read}`;
    tick.checked = sessionStorage.getItem(name) !== null;
    tick.addEventListener("change", () => { tick.checked ? sessionStorage.setItem(name, "") : sessionStorage.removeItem(name); count(); });
  }
  count();
  const on = keys.querySelector("[data-keys-on]");
  on.checked = localStorage.getItem("keys") !== "off";
  on.addEventListener("change", () => localStorage.setItem("keys", on.checked ? "on" : "off"));
  document.querySelector("[data-keys-help]")?.addEventListener("click", () => keys.showModal());
  const at = () => cards.findIndex((card) => card.contains(document.activeElement));
  const go = (i) => { const card = cards[Math.max(0, Math.min(i, cards.length - 1))]; card?.focus({ preventScroll: true }); card?.scrollIntoView({ block: "start" }); };
  const press = {
    j: () => go(at() + 1),
    k: () => go(at() < 0 ? 0 : at() - 1),
    o: (card) => { const definition = card?.querySelector(".definition"); if (definition) definition.open = !definition.open; },
    x: (card) => card?.querySelector("input[name=remove]")?.click(),
    a: (card) => {
      const tick = card?.querySelector("[data-read]");
      if (!tick) return;
      if (!tick.checked) tick.click();
      const left = cards.filter((c) => !c.querySelector("[data-read]").checked);
      const next = left.find((c) => cards.indexOf(c) > cards.indexOf(card)) ?? left[0]; // also those that were passed over
      if (next) go(cards.indexOf(next)); else press.A();
    },
    r: (card) => {
      const say = card?.querySelector("[data-say]");
      if (!say) return;
      say.open = true;
      say.querySelector("textarea").focus();
    },
    A: () => document.querySelector("[data-testid=approve]")?.focus(),
    R: () => document.querySelector("#comment")?.focus(),
    "?": () => keys.showModal(),
  };
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (!on.checked && event.key !== "?") return;
    const act = press[event.key];
    if (!act) return;
    event.preventDefault();
    act(cards[at()]);
  });
}

// The token count follows the ticks before they are saved.
const sum = document.querySelector("[data-sum]");
for (const tick of document.querySelectorAll("input[name=remove]")) {
  tick.addEventListener("change", () => {
    let tokens = 0;
    for (const card of document.querySelectorAll("[data-tokens]")) {
      if (!card.querySelector("input[name=remove]").checked) tokens += Number(card.dataset.tokens);
    }
    sum.textContent = tokens.toLocaleString("en-US");
    document.querySelector(".budget meter").value = tokens;
  });
}

// The search answers while one types. Texts are set as text, never as HTML.
function make(tag, className, text) {
  const el = document.createElement(tag);
  el.className = className;
  el.textContent = text;
  return el;
}
function result(tool) {
  const item = make("li", "found", "");
  const about = make("div", "", "");
  const line = make("p", "cardline", "");
  line.append(make("strong", "", tool.shown), " ", make("span", "effect " + tool.effect, tool.effect), " ",
    make("span", "tokens", tool.tokens.toLocaleString("en-US") + " tokens"));
  const add = make("button", "", "Add");
  add.setAttribute("form", "draft");
  add.setAttribute("aria-label", "Add " + tool.shown);
  Object.assign(add, { name: "add", value: tool.id });
  Object.assign(add.dataset, { testid: "add", tool: tool.id });
  const why = make("a", "", "Explain");
  why.href = `${location.pathname}/explain?tool=${encodeURIComponent(tool.id)}`;
  about.append(line, make("p", "clamp", tool.description), make("p", "dim", tool.why + " · "));
  about.lastChild.append(why);
  item.append(about, add);
  return item;
}
for (const box of document.querySelectorAll("[data-live]")) {
  const list = document.querySelector(box.dataset.live);
  const here = [...document.querySelectorAll("article[data-tool]")].map((card) => card.dataset.tool);
  let timer, running;
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      running?.abort();
      running = new AbortController();
      const query = box.value.trim();
      if (!query) return list.replaceChildren();
      try {
        const answer = await fetch("/api/tools?q=" + encodeURIComponent(query), { signal: running.signal });
        const found = await answer.json();
        const items = answer.ok ? found.tools.filter((t) => !here.includes(t.id)).map(result) : [make("li", "dim", found.error)];
        if (found.degraded) items.unshift(make("li", "note warn", found.degraded));
        list.replaceChildren(...(items.length ? items : [make("li", "dim", "Nothing fits.")]));
      } catch (err) {
        if (err.name !== "AbortError") list.replaceChildren(make("li", "dim", "The search did not answer. Press Search to try again."));
      }
    }, 200);
  });
}

// A list of what waits for a person stays current while somebody looks at it.
const waiting = document.querySelector("[data-waiting]");
if (waiting) {
  setInterval(async () => {
    if (document.visibilityState !== "visible") return;
    try {
      const page = new DOMParser().parseFromString(await (await fetch(location.pathname)).text(), "text/html");
      const now = page.querySelector("[data-waiting]");
      if (now && now.dataset.waiting !== waiting.dataset.waiting) location.replace(location.pathname);
    } catch { /* the next time may do */ }
  }, 5000);
}

// Rules are added and taken away without asking the server; without scripts the same buttons ask it.
function addRule(button) {
  const form = button.closest("[data-number]");
  const rows = button.parentElement.querySelector("[data-rows]");
  const index = Math.max(-1, ...[...rows.children].map((row) => Number(row.dataset.row))) + 1;
  if (index > 63) return false;
  const row = document.getElementById("row-" + button.dataset.add).content.firstElementChild.cloneNode(true);
  row.dataset.row = index;
  row.setAttribute("aria-label", row.getAttribute("aria-label").replace("1", index + 1));
  for (const el of row.querySelectorAll("*")) {
    for (const { name, value } of [...el.attributes]) {
      if (name === "name") el.setAttribute(name, value.replace(":0:", ":" + index + ":").replace("TOOL-OF-ROW", () => form.dataset.tool));
      else if (name === "id" || name === "for") el.setAttribute(name, value.replace("-0-0-", "-" + form.dataset.number + "-" + index + "-"));
      else if (name === "list") el.setAttribute(name, value.replace("-0", "-" + form.dataset.number));
    }
  }
  rows.append(row);
  row.querySelector("input:not([type=hidden]), select, textarea").focus();
  return true;
}
addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-add], [data-drop]");
  if (!button) return;
  if (button.dataset.add) {
    if (addRule(button)) event.preventDefault();
    return;
  }
  event.preventDefault();
  const section = button.closest(".rulekind");
  button.closest("[data-row]").remove();
  section.querySelector("[data-add]").focus();
});
