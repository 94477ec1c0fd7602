// The figures. Each draws what was computed with a pen, and returns nothing.

const GRID = 121, LEVELS = 14;
const colourOf = (i) => tone(`--c${i % 6}`);

const mixed = (a, b, s) => {
  const parts = [a, b].map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
  return `rgb(${parts[0].map((c, i) => Math.round(c + s * (parts[1][i] - c))).join(",")})`;
};

/** The energy on a grid over the window, and levels of it at equal shares of the area. */
const surveyed = (scene, view) => {
  const grid = [];
  for (let j = 0; j < GRID; j++) {
    for (let i = 0; i < GRID; i++) {
      grid.push(scene.value([view[0][0] + (i / (GRID - 1)) * (view[0][1] - view[0][0]), view[1][0] + (j / (GRID - 1)) * (view[1][1] - view[1][0])]));
    }
  }
  const sorted = grid.filter(Number.isFinite).sort((a, b) => a - b);
  const levels = Array.from({ length: LEVELS }, (_, k) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * ((k + 0.6) / LEVELS) ** 1.5))]);
  return { grid, levels };
};

const drawGround = (pen, width, height, survey) => {
  const { grid, levels } = survey, low = tone("--low"), high = tone("--high");
  const w = width / (GRID - 1), h = height / (GRID - 1);
  pen.globalAlpha = 1;
  for (let j = 0; j < GRID - 1; j++) {
    for (let i = 0; i < GRID - 1; i++) {
      const mean = (grid[j * GRID + i] + grid[j * GRID + i + 1] + grid[(j + 1) * GRID + i] + grid[(j + 1) * GRID + i + 1]) / 4;
      const rank = levels.filter((level) => mean > level).length;
      pen.fillStyle = mixed(low, high, rank / LEVELS);
      pen.fillRect(i * w, height - (j + 1) * h, w + 0.6, h + 0.6);
    }
  }
  for (const level of levels) {
    Object.assign(pen, { strokeStyle: tone("--level"), lineWidth: 1 });
    pen.beginPath();
    for (const [p, q] of levelSegments(grid, GRID, level)) {
      pen.moveTo(p[0] * w, height - p[1] * h);
      pen.lineTo(q[0] * w, height - q[1] * h);
    }
    pen.stroke();
  }
};

const onMap = (view, width, height) => ({
  to: (p) => [((p[0] - view[0][0]) / (view[0][1] - view[0][0])) * width, height - ((p[1] - view[1][0]) / (view[1][1] - view[1][0])) * height],
  from: (x, y) => [view[0][0] + (x / width) * (view[0][1] - view[0][0]), view[1][0] + ((height - y) / height) * (view[1][1] - view[1][0])],
});

/** Far points are brought near along their segment's direction, so that a pen can draw them. */
const near = (p) => p.map((c) => Math.min(Math.max(c, -20000), 20000));

/** Whether a dot lies away from the one before, and from the one before that, on this side: rings hide what is below. */
const isAlone = (points, k) => [1, 2].every((back) => k < back || distance(points[k], points[k - back]) >= 10);

const drawRuns = (pen, width, height, found, state) => {
  const map = onMap(state.view, width, height);
  line(pen, found.flow.path.map((p) => near(map.to(p))), { colour: tone("--flow"), width: 5, alpha: 0.75 });
  for (const m of found.visible) {
    const { own, modified, colour } = m;
    if (own) line(pen, own.map((p) => near(map.to(p))), { colour, width: 3, dash: [2, 7] });
    if (modified) line(pen, modified.map((p) => near(map.to(p))), { colour, width: 3, dash: [12, 7] });
  }
  for (const { run, colour } of found.visible) {
    const points = run.x.slice(0, state.shown + 1).map((p) => near(map.to(p)));
    line(pen, points, { colour, width: 2.5, alpha: 0.9 });
    dots(pen, points, points.length > 120 ? 2.4 : 4.5, colour, tone("--paper"), isAlone);
  }
  for (const p of found.scene.minima) {
    const [x, y] = map.to(p), colour = tone("--ink");
    line(pen, [[x - 8, y], [x + 8, y]], { colour, width: 3 });
    line(pen, [[x, y - 8], [x, y + 8]], { colour, width: 3 });
  }
};

/** The ground is drawn once for each window, size and pair of colours: a hand that drags the start does not change it. */
const kept = { key: "", canvas: document.createElement("canvas") };

const drawLandscape = (pen, width, height, found, state) => {
  if (pen instanceof SvgPen) drawGround(pen, width, height, found.survey);
  else {
    const ratio = window.devicePixelRatio || 1, key = JSON.stringify([found.survey.box, width, height, ratio, tone("--low")]);
    if (kept.key !== key) {
      Object.assign(kept.canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
      const under = kept.canvas.getContext("2d");
      under.setTransform(ratio, 0, 0, ratio, 0, 0);
      drawGround(under, width, height, found.survey);
      kept.key = key;
    }
    pen.drawImage(kept.canvas, 0, 0, width, height);
  }
  drawRuns(pen, width, height, found, state);
};

/** The cut through the minimum along the steepest direction, and the iterates on it. */
const drawSlice = (pen, width, height, found, state) => {
  if (!found.minimum) return write(pen, "no minimum is known", 20, 40);
  const { minimum, principal: { vectors }, scene } = found, q = vectors[1];
  const along = (p) => (p[0] - minimum[0]) * q[0] + (p[1] - minimum[1]) * q[1];
  const at = (s) => scene.value([minimum[0] + s * q[0], minimum[1] + s * q[1]]);
  const reach = Math.max(1e-6, ...found.visible.flatMap(({ run }) => run.x.slice(0, 3).map((p) => Math.abs(along(p)))), Math.abs(along(state.x0)));
  const span = 1.6 * reach, curve = Array.from({ length: 161 }, (_, i) => -span + (i / 80) * span).map((s) => [s, at(s)]);
  const met = found.visible.flatMap(({ run }) => run.x.slice(0, 3).map((p) => at(along(p)))).filter(Number.isFinite);
  const bottom = Math.min(at(0), ...met), top = bottom + 2.5 * (Math.max(...met, bottom + 1e-12) - bottom);
  const box = [[-span, span], [bottom - 0.06 * (top - bottom), top]];
  const frame = axes(pen, width, height, box, { xLabel: "way across the valley, from the minimum", yLabel: "E" });
  const to = ([s, e]) => [frame.X(s), frame.clampY(e)];
  line(pen, curve.map((p) => (p[1] > top ? null : to(p))), { colour: tone("--ink"), width: 3 });
  for (const { run, colour } of [...found.visible].reverse()) {
    const points = run.x.slice(0, Math.min(state.shown, 40) + 1).map((p) => along(p)).map((s) => to([s, at(s)]).map((c) => Math.min(Math.max(c, -4000), 4000)));
    line(pen, points, { colour, width: 2, alpha: 0.75 });
    dots(pen, points, 5, colour, tone("--paper"), isAlone);
    dot(pen, points[0], 7, colour, tone("--paper"));
    points.slice(0, 4).forEach((p, k) => write(pen, String(k), p[0] + (p[0] < width / 2 ? -18 : 12), p[1] - 6, { colour, size: 16 }));
  }
};

const clocks = { time: (m, k) => m.run.t[k], gradients: (m, k) => (m.method.gradients === null ? NaN : k * m.method.gradients), steps: (m, k) => k };

/** What is not on a clock, in words: an implicit step solves an equation, by as many gradients as that takes. */
const missing = (found, clock) => (clock !== "gradients" ? [] : found.visible.filter((m) => m.method.gradients === null).map((m) => `${named(m.method)}: solves an equation a step, gradients are not counted`));

const sayMissing = (pen, found, clock, x, y) => missing(found, clock).forEach((text, i) => write(pen, text, x, y - 20 * i, { colour: tone("--soft") }));

/** What is left of a quantity, by powers of ten, on the chosen clock. */
const drawDecay = (quantity, yLabel) => (pen, width, height, found, state) => {
  const clock = clocks[state.clock];
  const series = found.visible.map((m) => ({ colour: m.colour, points: m.run.x.slice(0, state.shown + 1).map((p, k) => [clock(m, k), Math.log10(quantity(p, found))]) }));
  if (state.clock === "time") series.unshift({ colour: tone("--flow"), flow: true, points: found.flow.path.map((p, k) => [found.flow.times[k], Math.log10(quantity(p, found))]) });
  const all = series.flatMap((s) => s.points).filter((p) => Number.isFinite(p[0] + p[1]));
  if (!all.length) return missing(found, state.clock).length ? sayMissing(pen, found, state.clock, 20, 60) : write(pen, "nothing to show", 20, 40);
  const high = Math.min(Math.ceil(Math.max(...all.map((p) => p[1]))), 8), low = Math.max(Math.floor(Math.min(...all.map((p) => p[1]))), high - 12);
  const end = Math.max(...all.map((p) => p[0])) || 1;
  const frame = axes(pen, width, height, [[0, end], [Math.min(low, high - 1), high]], { xLabel: state.clock, yLabel, log: true });
  for (const { colour, points, flow } of series) {
    line(pen, points.map(([x, y]) => [frame.X(x), Math.min(frame.clampY(Math.max(y, low - 1)), frame.bottom)]), { colour, width: flow ? 5 : 2.5, alpha: flow ? 0.75 : 1 });
  }
  sayMissing(pen, found, state.clock, frame.left + 8, frame.bottom - 8);
};

const drawEnergy = drawDecay((p, found) => found.scene.value(p) - found.least, "E above the minimum");
const drawDistance = drawDecay((p, found) => (found.minimum ? distance(p, found.minimum) : NaN), "distance from the minimum");

/** The greatest curvature where the run is, beside what the step allows, on the chosen clock. */
const drawSharpness = (pen, width, height, found, state) => {
  const at = clocks[state.clock];
  const series = found.visible.map((m) => ({ colour: m.colour, limit: curvatureAllowed(m.method, m.values), points: m.run.x.slice(0, state.shown + 1).map((p, k) => [at(m, k), sharpness(found.scene, p)]) }));
  if (state.clock === "time") series.unshift({ colour: tone("--flow"), flow: true, points: found.flow.path.map((p, k) => [found.flow.times[k], sharpness(found.scene, p)]) });
  const all = series.flatMap((s) => s.points).filter((p) => Number.isFinite(p[0] + p[1]));
  if (!all.length) return missing(found, state.clock).length ? sayMissing(pen, found, state.clock, 20, 60) : write(pen, "nothing to show", 20, 40);
  const most = Math.max(...all.map((p) => p[1])), limits = series.map((s) => s.limit).filter((l) => l && l < 3 * most);
  const end = Math.max(...all.map((p) => p[0])) || 1, high = 1.35 * Math.max(most, ...limits, 1e-12), low = Math.min(0, ...all.map((p) => p[1]));
  const frame = axes(pen, width, height, [[0, end], [low, high]], { xLabel: state.clock, yLabel: width > 420 ? "greatest curvature" : "" });
  for (const { colour, points, flow, limit } of series) {
    if (limits.includes(limit)) {
      line(pen, [[frame.left, frame.Y(limit)], [frame.right, frame.Y(limit)]], { colour, width: 2.5, dash: [12, 7] });
      write(pen, `dashed: its step allows ${shown(limit)}`, frame.right - 6, frame.top + 14 + 20 * limits.indexOf(limit), { colour, align: "right" });
    }
    line(pen, points.map(([x, y]) => [frame.X(x), frame.Y(y)]), { colour, width: flow ? 5 : 2.5, alpha: flow ? 0.75 : 1 });
  }
};

/** What one step multiplies a mode by, over curvature, with the two modes of this minimum as dots. */
const drawModes = (pen, width, height, found, state) => {
  const shownOf = found.visible.filter((m) => m.method.modes && m.step > 0);
  if (!shownOf.length || !found.minimum) return write(pen, "its step is not linear at a minimum", 20, 40);
  const top = Math.max(2.4, ...shownOf.map((m) => 1.25 * m.step * found.principal.values[1])), end = Math.min(top, 6);
  const frame = axes(pen, width, height, [[0, end], [-1.6, 1.6]], { xLabel: "step × curvature", yLabel: "a step multiplies by" });
  Object.assign(pen, { fillStyle: tone("--bad"), globalAlpha: 1 });
  pen.fillRect(frame.left, frame.Y(1.6), frame.right - frame.left, frame.Y(1) - frame.Y(1.6));
  pen.fillRect(frame.left, frame.Y(-1), frame.right - frame.left, frame.Y(-1.6) - frame.Y(-1));
  const soft = tone("--soft"), x = frame.right - 8;
  write(pen, "runs away", x, frame.Y(1.22), { align: "right" });
  write(pen, "runs away", frame.left + 8, frame.Y(-1.4));
  write(pen, "slides in", x, frame.Y(0.68), { align: "right", colour: soft });
  write(pen, "jumps across", frame.left + 8, frame.Y(-0.78), { colour: soft });
  line(pen, [[frame.left, frame.Y(0)], [frame.right, frame.Y(0)]], { colour: soft, width: 1.5 });
  for (const m of shownOf) {
    const points = Array.from({ length: 121 }, (_, i) => ((i + 0.001) / 120) * end).map((hl) => [frame.X(hl), frame.Y(multiplier(m.method, hl / m.step, m.values).value)]);
    line(pen, points.map((p) => (p[1] < frame.top || p[1] > frame.bottom ? null : p)), { colour: m.colour, width: 3 });
    for (const lam of found.principal.values.filter((l) => l > 0)) {
      const value = multiplier(m.method, lam, m.values).value;
      dot(pen, [frame.X(Math.min(m.step * lam, end)), frame.Y(Math.min(Math.max(value, -1.58), 1.58))], 8, m.colour, tone("--ink"));
    }
  }
};

/** Position and velocity along the flattest direction. */
const drawPhase = (pen, width, height, found, state) => {
  const moving = found.visible.filter((m) => m.run.v.length);
  if (!moving.length || !found.minimum) return write(pen, "no method here has a velocity", 20, 40);
  const q = found.principal.vectors[0], dotted = (p) => p[0] * q[0] + p[1] * q[1];
  const tracks = moving.map((m) => ({ colour: m.colour, points: m.run.x.slice(0, state.shown + 1).map((p, k) => [dotted(p) - dotted(found.minimum), dotted(m.run.v[k])]) }));
  const size = (i) => 1.1 * Math.max(1e-9, ...tracks.flatMap((t) => t.points.map((p) => Math.abs(p[i]))));
  const frame = axes(pen, width, height, [[-size(0), size(0)], [-size(1), size(1)]], { xLabel: "position along the valley", yLabel: "velocity" });
  for (const { colour, points } of tracks) {
    const drawn = points.map(([x, v]) => [frame.X(x), frame.Y(v)]);
    line(pen, drawn, { colour, width: 2.5 });
    dots(pen, drawn, 3.5, colour);
  }
};

const temperatureOf = (m) => m.values[m.method.knobs.findIndex((knob) => knob.name === "temperature")];

/** The density along x of the law ∝ exp(−E/T), up to a factor: E summed over y within the window. */
const lawAlong = (here, view, T, least) => {
  const fine = 120, at = ([low, high], i) => low + ((i + 0.5) / fine) * (high - low);
  const all = Array.from({ length: fine }, (_, i) => i);
  return all.map((i) => [at(view[0], i), all.reduce((s, j) => s + Math.exp(-(here.value([at(view[0], i), at(view[1], j)]) - least) / T), 0)]);
};

/** The standard deviation of what is met so often. */
const spread = (pairs) => {
  const total = pairs.reduce((s, [, w]) => s + w, 0), mean = pairs.reduce((s, [x, w]) => s + x * w, 0) / total;
  return Math.sqrt(pairs.reduce((s, [x, w]) => s + w * (x - mean) ** 2, 0) / total);
};

/** How often positions were met along x, beside the law ∝ exp(−E/T) that the flow has. */
const drawDensity = (pen, width, height, found, state) => {
  const m = found.visible.find((one) => one.method.noisy);
  if (!m) return write(pen, "no method here has noise", 20, 40);
  const [a, b] = state.view[0], bins = 40, counts = new Array(bins).fill(0);
  for (const x of m.long) { const i = Math.floor(((x - a) / (b - a)) * bins); if (i >= 0 && i < bins) counts[i]++; }
  const per = (b - a) / bins, bars = counts.map((c) => c / m.long.length / per);
  const mass = m.law.reduce((s, p) => s + p[1], 0) * ((b - a) / m.law.length);
  const exact = m.law.map(([x, w]) => [x, w / mass]);
  const top = 1.15 * Math.max(...bars, ...exact.map((p) => (Number.isFinite(p[1]) ? p[1] : 0)));
  const frame = axes(pen, width, height, [[a, b], [0, top]], { xLabel: "x", yLabel: "how often" });
  pen.fillStyle = m.colour;
  pen.globalAlpha = 0.55;
  bars.forEach((v, i) => pen.fillRect(frame.X(a + i * per) + 1, frame.Y(v), frame.X(a + per) - frame.X(a) - 2, frame.bottom - frame.Y(v)));
  line(pen, exact.map(([x, w]) => [frame.X(x), frame.Y(w)]), { colour: tone("--ink"), width: 3 });
};

const FIGURES = {
  slice: ["Across the valley: where each step lands", drawSlice],
  energy: ["Energy", drawEnergy],
  distance: ["Distance", drawDistance],
  modes: ["What one step does to each direction", drawModes],
  sharpness: ["How sharp it is where the run is", drawSharpness],
  phase: ["Phase portrait", drawPhase],
  density: ["Where it is found (curve: the exact law)", drawDensity],
};
