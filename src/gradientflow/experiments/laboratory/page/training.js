// A recorded run: what was written down is drawn, and where one looks is told in words. Nothing is computed anew.

const AROUND = 30, LATELY = 50, EDGE = 0.1;
// What adapts is held as it was at each step.
const of = RUN.held ? " of P⁻¹H" : "";
const state = { at: 0 };
let waiting = 0, playing = 0, noting = 0;

const known = (values) => values.filter((v) => v !== null);
const last = RUN.steps[RUN.steps.length - 1];

/** The place of the last entry that is not beyond a step; entries rise. */
const placeOf = (steps, step) => {
  let low = 0, high = steps.length - 1;
  while (low < high) { const middle = (low + high + 1) >> 1; if (steps[middle] <= step) low = middle; else high = middle - 1; }
  return low;
};

const toneOf = (i) => (i === 0 ? tone("--flow") : tone(`--c${(i + 1) % 6}`));
const pairs = ({ steps }, values, change = (v) => v) => steps.map((k, i) => (k === null || values[i] === null ? null : [k, change(values[i])]));
const logarithm = (v) => (v > 0 ? Math.log10(v) : NaN);

/** What is known where one looks. */
const seen = () => {
  const i = state.at, step = RUN.steps[i], j = placeOf(RUN.looked.steps, step);
  const before = RUN.loss.slice(Math.max(0, i - LATELY), i + 1);
  const rises = before.filter((v, k) => k > 0 && v > before[k - 1]).length;
  return { step, loss: RUN.loss[i], looked: RUN.looked.steps[j], curvature: RUN.looked.curvature[j], allowed: RUN.looked.allowed[j], share: RUN.looked.share[j], rises, among: before.length - 1 };
};

const cursor = (pen, frame, step) => line(pen, [[frame.X(step), frame.top], [frame.X(step), frame.bottom]], { colour: tone("--ink"), width: 1.5 });

const drawn = (frame, points) => points.map((p) => (p ? [frame.X(p[0]), frame.clampY(p[1])] : null));

const drawCurvature = (pen, width, height) => {
  const own = pairs(RUN.looked, RUN.looked.curvature), limit = pairs(RUN.looked, RUN.looked.allowed);
  const more = RUN.more.map((one) => pairs(one, one.curvature));
  const paths = RUN.paths.map((path) => (path.looked ? pairs(path.looked, path.looked.curvature) : []));
  const values = [own, limit, ...more, ...paths].flatMap((points) => known(points).map((p) => p[1]));
  if (!values.length) return write(pen, "no curvature is known", 20, 40);
  const most = Math.max(...values), least = Math.min(0, ...values);
  const frame = axes(pen, width, height, [[0, last], [least, 1.15 * most]], { xLabel: "step" });
  paths.forEach((points, i) => line(pen, drawn(frame, points), { colour: toneOf(i), width: i ? 3 : 5, alpha: 0.75, dash: i ? [12, 7] : [] }));
  for (const points of more) line(pen, drawn(frame, points), { colour: tone("--c0"), width: 1.5, alpha: 0.6 });
  line(pen, drawn(frame, limit), { colour: tone("--c1"), width: 2.5, dash: [12, 7] });
  line(pen, drawn(frame, own), { colour: tone("--c0"), width: 2.5 });
  const { step, looked, curvature } = seen();
  cursor(pen, frame, step);
  if (curvature !== null) dot(pen, [frame.X(looked), frame.clampY(curvature)], 7, tone("--c0"), tone("--ink"));
  return frame;
};

const drawLoss = (pen, width, height) => {
  const own = pairs(RUN, RUN.loss, logarithm), paths = RUN.paths.map((path) => pairs(path, path.loss, logarithm));
  const values = [own, ...paths].flatMap((points) => known(points).map((p) => p[1])).filter(Number.isFinite);
  if (!values.length) return write(pen, "no loss is positive", 20, 40);
  const high = Math.max(...values), low = Math.min(...values), air = Math.max(0.08 * (high - low), 0.05);
  const frame = axes(pen, width, height, [[0, last], [low - air, high + air]], { xLabel: "step", log: true });
  paths.forEach((points, i) => line(pen, drawn(frame, points), { colour: toneOf(i), width: i ? 3 : 5, alpha: 0.75, dash: i ? [12, 7] : [] }));
  line(pen, drawn(frame, own), { colour: tone("--c0"), width: 2 });
  const { step, loss } = seen();
  cursor(pen, frame, step);
  if (loss > 0) dot(pen, [frame.X(step), frame.clampY(Math.log10(loss))], 7, tone("--c0"), tone("--ink"));
  return frame;
};

/** The loss step by step around where one looks: whether it swings. */
const drawNear = (pen, width, height) => {
  const from = Math.max(0, Math.min(state.at - AROUND, RUN.steps.length - 1 - 2 * AROUND)), to = Math.min(RUN.steps.length - 1, from + 2 * AROUND);
  const points = RUN.steps.slice(from, to + 1).map((k, i) => (RUN.loss[from + i] === null ? null : [k, RUN.loss[from + i]]));
  const values = known(points).map((p) => p[1]);
  if (!values.length) return write(pen, "the loss is not finite here", 20, 40);
  const high = Math.max(...values), low = Math.min(...values), air = 0.12 * (high - low || Math.abs(high) || 1);
  const frame = axes(pen, width, height, [[RUN.steps[from], Math.max(RUN.steps[to], RUN.steps[from] + 1)], [low - air, high + air]], { xLabel: "step" });
  line(pen, drawn(frame, points), { colour: tone("--c0"), width: 1.5 });
  for (const p of drawn(frame, points)) if (p) dot(pen, p, 3, tone("--c0"));
  cursor(pen, frame, seen().step);
  return frame;
};

const frames = {};
const FIGURES = { curvature: drawCurvature, loss: drawLoss, near: drawNear };

const draw = () => {
  waiting = 0;
  for (const [name, figure] of Object.entries(FIGURES)) {
    const { pen, width, height } = onCanvas($(name));
    if (width && height) frames[name] = figure(pen, width, height);
  }
  $("at").value = state.at;
  $("at-value").textContent = RUN.steps[state.at];
  const text = headline();
  if ($("headline").textContent !== text) $("headline").textContent = text;
  clearTimeout(noting);
  noting = setTimeout(remember, 150);
};

const later = () => { if (!waiting) waiting = requestAnimationFrame(draw); };

const headline = () => {
  const { step, loss, looked, curvature, allowed, share, rises, among } = seen();
  if (loss === null) return `Step ${step}: the loss is not finite any more.`;
  const how = share > 1 + EDGE ? "above" : share < 1 - EDGE ? "below" : "at";
  const may = share === null ? "" : allowed === null ? `; its step is ${shown(share)} times what is allowed` : `, ${how} the ${shown(allowed)} that the step allows`;
  // Curvature is looked at now and then.
  const where = looked === step ? `the greatest curvature${of} is` : `the greatest curvature${of} at step ${looked} is`;
  const bent = curvature === null ? "no curvature is known" : `${where} ${shown(curvature)}${may}`;
  const rose = among ? ` The loss rose in ${rises} of the last ${among} ${RUN.every > 1 ? "looks" : "steps"}.` : "";
  return `Step ${step}: ${bent}.${rose}`;
};

/** What is told of the whole run. */
const tell = () => {
  const loss = known(RUN.loss), rises = loss.filter((v, i) => i > 0 && v > loss[i - 1]).length;
  const said = [`The loss goes from ${shown(loss[0])} to ${shown(loss[loss.length - 1])} and rises in ${rises} of ${loss.length - 1} ${RUN.every > 1 ? "looks" : "steps"}.`];
  const { share, steps } = RUN.looked;
  let from = share.length;
  while (from > 0 && share[from - 1] !== null && Math.abs(share[from - 1] - 1) <= EDGE) from--;
  if (from < share.length - 2) said.push(`From step ${steps[from]} on the curvature stays within a tenth of what the step allows: the edge of stability.`);
  else if (share.every((s) => s !== null && s < 1)) said.push("At every look the step is short enough for the curvature.");
  for (const { label, loss: other, looked } of RUN.paths) {
    const ends = known(other), bends = looked ? known(looked.curvature) : [];
    const end = bends[bends.length - 1], top = Math.max(...bends), higher = top > 1.01 * end ? `, at most ${shown(top)} on the way` : "";
    const most = bends.length ? `, where the greatest curvature is ${shown(end)}${higher}` : "";
    if (ends.length) said.push(`${label}: the loss goes to ${shown(ends[ends.length - 1])}${most}.`);
  }
  $("words").replaceChildren(...said.map((text) => made("p", "words", [text])), made("p", "words", [badge(RUN.grade), ` ${RUN.why}`]));
};

const entry = (colour, text, dashed) => {
  const swatch = made("span", "swatch");
  swatch.style.borderTopColor = `var(${colour})`;
  if (dashed) swatch.style.borderTopStyle = "dashed";
  return made("span", "entry", [swatch, text]);
};

const moveTo = (i) => { state.at = Math.min(Math.max(i, 0), RUN.steps.length - 1); later(); };

const stop = () => { clearTimeout(playing); playing = 0; $("play").textContent = "Play"; };

const play = () => {
  if (playing) return stop();
  const end = RUN.steps.length - 1, stride = Math.max(1, Math.round(end / 240));
  if (state.at >= end) state.at = 0;
  const next = () => {
    moveTo(state.at + stride);
    if (state.at >= end) return stop();
    playing = setTimeout(next, calm.matches ? 600 : 50);
  };
  $("play").textContent = "Stop";
  playing = setTimeout(next, 50);
};

// The address keeps the step.
const remember = () => {
  const hash = `#step=${RUN.steps[state.at]}`;
  // A frame of a notebook may have no address of its own.
  try { if (window.location.hash !== hash) window.history.replaceState(null, "", hash); } catch { /* it keeps none */ }
};

const read = () => {
  const found = /^#step=(\d{1,9})$/.exec(window.location.hash);
  moveTo(found ? placeOf(RUN.steps, Number(found[1])) : Math.floor(RUN.steps.length / 2));
};

const listen = () => {
  for (const name of Object.keys(FIGURES)) {
    const canvas = $(name);
    const moved = (event) => {
      const box = canvas.getBoundingClientRect(), frame = frames[name];
      if (!frame || name === "near") return;
      const share = (event.clientX - box.left - frame.left) / (frame.right - frame.left);
      moveTo(placeOf(RUN.steps, share * last));
    };
    canvas.addEventListener("pointerdown", (event) => { stop(); canvas.setPointerCapture(event.pointerId); moved(event); });
    canvas.addEventListener("pointermove", (event) => { if (canvas.hasPointerCapture(event.pointerId)) moved(event); });
  }
  $("at").addEventListener("input", () => { stop(); moveTo(Number($("at").value)); });
  $("play").addEventListener("click", play);
  for (const [id, name] of [["svg", "curvature"], ["svg-loss", "loss"]]) {
    $(id).addEventListener("click", () => save(new Blob([asSvg(name)], { type: "image/svg+xml" }), `${name}.svg`));
  }
  window.addEventListener("resize", later);
  window.addEventListener("hashchange", read);
  dark.addEventListener("change", () => { tones.clear(); later(); });
};

const asSvg = (name) => {
  const pen = new SvgPen(1000, 500);
  FIGURES[name](pen, 1000, 500);
  return pen.text();
};

$("question").textContent = RUN.question || RUN.title;
document.title = RUN.title;
$("figure-name").textContent = `Greatest curvature${of}; dashed, what the step allows`;
$("curvature").setAttribute("aria-label", "The greatest curvature along the run, and what the step allows");
$("loss").setAttribute("aria-label", "The loss along the run");
$("near").setAttribute("aria-label", "The loss at the steps around");
$("at").max = RUN.steps.length - 1;
$("legend").replaceChildren(entry("--c0", "this run"), entry("--c1", "allowed", true), ...(RUN.more.length ? [made("span", "entry", ["thin: the next eigenvalues"])] : []), ...RUN.paths.map(({ label }, i) => entry(i ? `--c${(i + 1) % 6}` : "--flow", label, i > 0)));
tell();
listen();
read();

/** What is shown, for whoever checks it. */
window.lab = Object.freeze({ seen, svg: asSvg });
