// The page: its state, what a hand does to it, and when it is drawn.

const LONG = 300, CHAIN = 3000, CHAIN_AT_REST = 30000;

const state = { scene: 0, x0: [0, 0], values: [], hidden: new Set(), shown: 1, clock: "time", own: false, modified: false, seed: 0, view: [[0, 1], [0, 1]] };
let found = null, survey = null, waiting = 0, resting = 0, noting = 0, playing = 0;

const scene = () => SCENES[state.scene];
const numbers = (method, i) => (method.noisy ? [...state.values[i], state.seed] : state.values[i]);
const copied = (box) => box.map((side) => [...side]);

/** All that the figures show, from the state. */
const compute = (chain) => {
  const here = scene(), visible = [];
  here.methods.forEach((method, i) => {
    if (state.hidden.has(i)) return;
    const values = numbers(method, i), run = runMethod(method, state.x0, values, Math.max(LONG, state.shown));
    const knob = stepKnob(method), step = knob < 0 ? NaN : state.values[i][knob];
    visible.push({ method, values, run, step, colour: colourOf(i), end: ending(run) });
  });
  const times = visible.map(({ run }) => run.t[Math.min(state.shown, run.t.length - 1)]);
  const t1 = Math.max(1e-9, ...times.filter(Number.isFinite));
  const size = Math.hypot(state.view[0][1] - state.view[0][0], state.view[1][1] - state.view[1][0]);
  const flow = follow((z, t, h) => here.flow(z[0], t, h), 1, [state.x0], t1, 1e-9 * size, 3000);
  flow.path = flow.path.map((z) => z[0]);
  for (const m of visible) {
    const until = m.run.t[Math.min(state.shown, m.run.t.length - 1)];
    for (const name of ["ownFlow", "modified"]) {
      if (!state[name === "ownFlow" ? "own" : "modified"] || !m.method[name]) continue;
      const leaves = m.method.flowLeaves, first = listed(m.method[`${name}Start`](state.x0, ...m.values), 0);
      const start = leaves === 1 ? [first].flat(1).length ? [first.flat(Infinity)] : [first] : first;
      const { path } = follow((z, t, h) => m.method[name](...z, t, h, ...m.values), leaves, start, until, 1e-9 * size, 3000);
      m[name === "ownFlow" ? "own" : name] = path.map((z) => m.method[`${name}Position`](...z, ...m.values));
    }
    if (m.method.noisy && here.show.includes("density")) m.long = runMethod(m.method, state.x0, m.values, chain).x.map((p) => p[0]).slice(chain / 20);
  }
  const first = visible[0], last = first ? first.run.x[first.run.x.length - 1] : state.x0;
  const minimum = here.minima.length ? here.minima.reduce((a, b) => (distance(b, last) < distance(a, last) ? b : a)) : null;
  const least = here.minima.length ? Math.min(...here.minima.map((p) => here.value(p))) : Math.min(...flow.path.map((p) => here.value(p)), ...visible.flatMap(({ run }) => run.x.map((p) => here.value(p))));
  for (const m of visible) if (m.long) m.law = lawAlong(here, state.view, temperatureOf(m), least);
  const bend = here.hessian(minimum || last), there = here.hessian(state.x0);
  const quadratic = bend.every((c, i) => Math.abs(c - there[i]) <= 1e-6 * Math.max(...bend.map(Math.abs)));
  return { scene: here, visible, flow, minimum, least, principal: principal(bend), quadratic, survey };
};

const draw = (chain = CHAIN) => {
  waiting = 0;
  const box = JSON.stringify([state.scene, state.view]);
  if (!survey || survey.box !== box) survey = { ...surveyed(scene(), state.view), box };
  found = compute(chain);
  paint($("landscape"), drawLandscape);
  for (const canvas of document.querySelectorAll("figure canvas")) paint(canvas, FIGURES[canvas.dataset.figure][1]);
  place();
  say();
  // A browser counts how often an address changes: it is told when the hand rests.
  clearTimeout(noting);
  noting = setTimeout(remember, 150);
};

const paint = (canvas, figure) => {
  const { pen, width, height } = onCanvas(canvas);
  if (width && height) figure(pen, width, height, found, state);
};

const later = () => {
  if (!waiting) waiting = requestAnimationFrame(() => draw());
  clearTimeout(resting);
  // A long chain waits until the hand rests.
  if (scene().show.includes("density")) resting = setTimeout(() => draw(CHAIN_AT_REST), 160);
};

const place = () => {
  const canvas = $("landscape"), handle = $("handle");
  const [x, y] = onMap(state.view, canvas.clientWidth, canvas.clientHeight).to(state.x0);
  handle.style.left = `${x}px`;
  handle.style.top = `${y}px`;
  handle.setAttribute("aria-label", `Start at ${shown(state.x0[0])}, ${shown(state.x0[1])}; arrow keys move it`);
};

const say = () => {
  const text = headline(found);
  if ($("headline").textContent !== text) $("headline").textContent = text;
  for (const card of document.querySelectorAll(".card")) {
    const m = found.visible.find(({ method }) => method === scene().methods[Number(card.dataset.method)]);
    const words = card.querySelector(".words");
    words.textContent = "";
    if (!m) continue;
    const limit = limitWords(m, found);
    const first = document.createElement("span");
    first.textContent = limit.text + " ";
    first.className = limit.beyond ? "beyond" : "";
    words.append(first, badge(limit.grade), document.createElement("br"), `${endWords(m, found)} `, badge("measured"));
  }
};

// What the address keeps: numbers only, and only those that are in range.

const remember = () => {
  const kept = new URLSearchParams({ scene: state.scene, x: state.x0.map((c) => +c.toPrecision(6)).join(","), shown: state.shown, clock: state.clock, seed: state.seed });
  scene().methods.forEach((method, i) => kept.set(`m${i}`, state.values[i].map((v) => +v.toPrecision(8)).join(",")));
  if (state.hidden.size) kept.set("hidden", [...state.hidden].join(","));
  if (state.own) kept.set("own", "1");
  if (state.modified) kept.set("modified", "1");
  const hash = `#${kept}`;
  // A frame of a notebook may have no address of its own.
  try { if (window.location.hash !== hash) window.history.replaceState(null, "", hash); } catch { /* it keeps none */ }
};

const read = () => {
  const kept = new URLSearchParams(window.location.hash.slice(1));
  const list = (name, count) => {
    const all = (kept.get(name) ?? "").split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
    return all.length === count && all.every((v) => Number.isFinite(v) && Math.abs(v) < FAR) ? all : null;
  };
  const whole = (name, low, high) => { const v = list(name, 1); return v && Number.isInteger(v[0]) && v[0] >= low && v[0] <= high ? v[0] : null; };
  show(whole("scene", 0, SCENES.length - 1) ?? 0);
  state.x0 = list("x", 2) ?? state.x0;
  state.shown = whole("shown", 1, Number($("shown").max)) ?? state.shown;
  state.seed = whole("seed", 0, 4294967295) ?? state.seed;
  state.clock = ["time", "gradients", "steps"].includes(kept.get("clock")) ? kept.get("clock") : state.clock;
  state.own = kept.get("own") === "1";
  state.modified = kept.get("modified") === "1";
  scene().methods.forEach((method, i) => {
    const given = list(`m${i}`, method.knobs.length);
    if (given) state.values[i] = given.map((v, j) => Math.min(Math.max(v, method.knobs[j].low), method.knobs[j].high));
  });
  const hidden = (kept.get("hidden") ?? "").split(",").filter((part) => /^\d+$/.test(part)).map(Number);
  state.hidden = new Set(hidden.filter((i) => i < scene().methods.length));
  reflect();
};

/** Puts the state into the controls. */
const reflect = () => {
  $("shown").value = state.shown;
  $("shown-value").textContent = state.shown;
  $("clock").value = state.clock;
  $("own").checked = state.own;
  $("modified").checked = state.modified;
  $("seed").value = state.seed;
  for (const card of document.querySelectorAll(".card")) {
    const i = Number(card.dataset.method);
    card.querySelector("h2 input").checked = !state.hidden.has(i);
    card.querySelectorAll(".knob").forEach((row, j) => turned(row, scene().methods[i].knobs[j], state.values[i][j]));
  }
  later();
};

const NOTCHES = 1000;
const notch = (knob, v) => Math.round(NOTCHES * (knob.log ? Math.log(v / knob.low) / Math.log(knob.high / knob.low) : (v - knob.low) / (knob.high - knob.low)));
const valueAt = (knob, n) => {
  const s = n / NOTCHES, v = knob.log ? knob.low * (knob.high / knob.low) ** s : knob.low + s * (knob.high - knob.low);
  // What is exported is met again where the slider stands there.
  return n === notch(knob, knob.value) ? knob.value : +v.toPrecision(4);
};

const turned = (row, knob, v) => {
  row.querySelector("input").value = notch(knob, v);
  row.querySelector("input").setAttribute("aria-valuetext", `${knob.symbol} = ${shown(v)}`);
  row.querySelector("output").textContent = shown(v);
};

const cardOf = (method, i) => {
  const tick = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
  tick.addEventListener("change", () => { if (tick.checked) state.hidden.delete(i); else state.hidden.add(i); later(); });
  const rows = method.knobs.map((knob, j) => {
    const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: NOTCHES, step: 1 });
    slider.setAttribute("aria-label", `${method.label}: ${knob.name}`);
    const row = made("div", "knob", [made("span", "", [knob.symbol]), slider, document.createElement("output")]);
    slider.addEventListener("input", () => { state.values[i][j] = valueAt(knob, Number(slider.value)); turned(row, knob, state.values[i][j]); later(); });
    return row;
  });
  const card = made("article", "card", [
    made("h2", "", [made("label", "", [tick, ` ${named(method)}`])]),
    made("p", "equations", [equation(method.scheme), " of ", equation(method.flow)]),
    ...rows,
    made("p", "words"),
  ]);
  card.dataset.method = i;
  card.style.setProperty("--tone", `var(--c${i % 6})`);
  return card;
};

/** Shows a scene from its beginning. */
const show = (number) => {
  stop();
  state.scene = number;
  const here = scene();
  state.x0 = [...here.x0];
  state.values = here.methods.map((method) => method.knobs.map((knob) => knob.value));
  state.hidden = new Set();
  state.shown = here.steps;
  state.clock = here.clock;
  state.view = fitted(copied(here.box));
  $("question").textContent = here.question || here.title;
  $("hint").textContent = here.hint;
  $("hint").hidden = !here.hint;
  $("formula").replaceChildren(equation(here.formula));
  $("shown").max = Math.max(LONG, here.steps);
  $("methods").replaceChildren(...here.methods.map(cardOf));
  const figures = here.show.map((name) => {
    const canvas = document.createElement("canvas");
    canvas.dataset.figure = name;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", FIGURES[name][0]);
    return made("figure", "", [made("figcaption", "", [FIGURES[name][0]]), canvas]);
  });
  // The first figure stands beside the landscape, since it has the answer; two where there is room.
  const beside = here.methods.length > 1 ? 1 : 2;
  $("first").replaceChildren(...figures.slice(0, beside));
  $("panels").replaceChildren(...figures.slice(beside));
  $("seed-label").hidden = !here.methods.some((method) => method.noisy);
  [...$("scenes").children].forEach((button, i) => button.setAttribute("aria-current", String(i === number)));
  reflect();
};

/** A window of the canvas's own shape around a box: a circle is a circle. */
const fitted = (box) => {
  const canvas = $("landscape"), ratio = canvas.clientWidth / Math.max(canvas.clientHeight, 1) || 5 / 3;
  const spans = box.map(([a, b]) => b - a), middle = box.map(([a, b]) => (a + b) / 2);
  const height = Math.max(spans[1], spans[0] / ratio), width = height * ratio;
  return [[middle[0] - width / 2, middle[0] + width / 2], [middle[1] - height / 2, middle[1] + height / 2]];
};

const zoom = (factor, about) => {
  const centre = about ?? state.view.map(([a, b]) => (a + b) / 2);
  state.view = state.view.map(([a, b], i) => [centre[i] + (a - centre[i]) * factor, centre[i] + (b - centre[i]) * factor]);
  later();
};

const stop = () => { clearTimeout(playing); playing = 0; $("play").textContent = "Play"; };

const play = () => {
  if (playing) return stop();
  const end = scene().steps;
  const next = (k) => {
    state.shown = k;
    $("shown").value = k;
    $("shown-value").textContent = k;
    later();
    if (k >= end) return stop();
    playing = setTimeout(() => next(k + 1), calm.matches ? 600 : Math.max(40, 4000 / end));
    $("play").textContent = "Stop";
  };
  next(1);
};

const asSvg = () => {
  const pen = new SvgPen(1000, 600);
  drawLandscape(pen, 1000, 600, found, state);
  return pen.text();
};

const listen = () => {
  const canvas = $("landscape"), handle = $("handle");
  const moved = (event) => {
    const box = canvas.getBoundingClientRect();
    state.x0 = onMap(state.view, box.width, box.height).from(event.clientX - box.left, event.clientY - box.top).map((c) => +c.toPrecision(5));
    later();
  };
  for (const target of [canvas, handle]) {
    target.addEventListener("pointerdown", (event) => { target.setPointerCapture(event.pointerId); moved(event); event.preventDefault(); handle.focus(); });
    target.addEventListener("pointermove", (event) => { if (target.hasPointerCapture(event.pointerId)) moved(event); });
  }
  handle.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const step = (state.view[0][1] - state.view[0][0]) / (event.shiftKey ? 20 : 100);
    state.x0 = state.x0.map((c, i) => +(c + way[i] * step).toPrecision(5));
    later();
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, onMap(state.view, box.width, box.height).from(event.clientX - box.left, event.clientY - box.top));
  }, { passive: false });
  $("closer").addEventListener("click", () => zoom(0.7));
  $("farther").addEventListener("click", () => zoom(1 / 0.7));
  $("whole").addEventListener("click", () => { state.view = fitted(copied(scene().box)); later(); });
  $("shown").addEventListener("input", () => { stop(); state.shown = Number($("shown").value); $("shown-value").textContent = state.shown; later(); });
  $("play").addEventListener("click", play);
  $("clock").addEventListener("change", () => { state.clock = $("clock").value; later(); });
  $("own").addEventListener("change", () => { state.own = $("own").checked; later(); });
  $("modified").addEventListener("change", () => { state.modified = $("modified").checked; later(); });
  $("seed").addEventListener("input", () => { const seed = Number($("seed").value); if (Number.isInteger(seed) && seed >= 0 && seed <= 4294967295) { state.seed = seed; later(); } });
  $("reset").addEventListener("click", () => show(state.scene));
  $("png").addEventListener("click", () => canvas.toBlob((blob) => save(blob, "laboratory.png")));
  $("svg").addEventListener("click", () => save(new Blob([asSvg()], { type: "image/svg+xml" }), "laboratory.svg"));
  window.addEventListener("resize", () => { state.view = fitted(state.view); later(); });
  window.addEventListener("hashchange", read);
  dark.addEventListener("change", () => { tones.clear(); later(); });
};

SCENES.forEach((one, i) => {
  const button = made("button", "", [`${i + 1} ${one.title}`]);
  button.type = "button";
  button.addEventListener("click", () => show(i));
  $("scenes").append(button);
});
$("scenes").hidden = SCENES.length < 2;
listen();
read();

/** The positions of n steps of a method of the scene that is shown, as they are drawn; for whoever checks them. */
window.lab = Object.freeze({
  iterates: (label, parameters, x0, n) => {
    const all = [scene(), ...SCENES].flatMap((one) => one.methods.map((method) => ({ one, method })));
    const at = all.find(({ method }) => method.label === label);
    if (!at) throw new Error(`no method ${label}; there are ${all.map(({ method }) => method.label).join(", ")}`);
    const { method } = at, { seed = state.seed, ...given } = parameters ?? {};
    const unknown = Object.keys(given).find((name) => !method.knobs.some((knob) => knob.name === name));
    if (unknown) throw new Error(`${label} has no parameter ${unknown}; it has ${method.knobs.map((knob) => knob.name).join(", ")}`);
    const values = method.knobs.map((knob) => given[knob.name] ?? knob.value);
    return runMethod(method, x0, method.noisy ? [...values, seed] : values, n).x;
  },
  svg: asSvg,
});
