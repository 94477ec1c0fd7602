// What is general: running generated code, following a flow, the size of a matrix. No method and no energy is here.

const FAR = 1e9;

/** The iterates of a method: positions, times and, where there are, velocities; they end where they are not finite. */
const runMethod = (method, x, values, n) => {
  let carry = method.start(x, ...values);
  const run = { x: [], t: [], v: [], lost: -1 };
  for (let k = 0; ; k++) {
    const at = method.position(...carry, ...values);
    if (!at.every((c) => Math.abs(c) < FAR)) { run.lost = k; return run; }
    run.x.push(at);
    run.t.push(method.time(...carry, ...values));
    if (method.velocity) run.v.push(method.velocity(...carry, ...values));
    if (k === n) return run;
    carry = method.one(...carry, ...values);
  }
};

const flatten = (leaves) => leaves.flat(Infinity);

const listed = (answer, leaves) => (leaves === 1 ? [answer] : answer);

/** A path of a flow to t1: the generated step, halved until two halves agree with the whole. */
const follow = (step, leaves, z, t1, tolerance, most) => {
  const path = [z], times = [0];
  let t = 0, h = t1 / 50;
  for (let tries = 0; t < t1 && tries < most; tries++) {
    h = Math.min(h, t1 - t);
    const whole = flatten(listed(step(z, t, h), leaves));
    const middle = listed(step(z, t, h / 2), leaves);
    const next = listed(step(middle, t + h / 2, h / 2), leaves);
    const apart = flatten(next).reduce((m, c, i) => Math.max(m, Math.abs(c - whole[i])), 0);
    if (!(apart <= tolerance)) { h /= apart < FAR ? 2 : 8; if (h < t1 * 1e-9) break; continue; }
    z = next;
    t += h;
    path.push(z);
    times.push(t);
    if (apart < tolerance / 40) h *= 2;
  }
  return { path, times };
};

/** The spectral radius of a square matrix, row by row: the growth of its powers, squared again and again. */
const spectralRadius = (matrix) => {
  const n = Math.round(Math.sqrt(matrix.length));
  if (n === 1) return Math.abs(matrix[0]);
  // Of a 2×2 matrix the eigenvalues are told by a formula.
  if (n === 2) {
    const [a, b, c, d] = matrix, mean = (a + d) / 2, square = ((a - d) / 2) ** 2 + b * c;
    return square < 0 ? Math.sqrt(a * d - b * c) : Math.abs(mean) + Math.sqrt(square);
  }
  let m = matrix, log = 0, weight = 1;
  for (let i = 0; i < 40; i++) {
    const size = m.reduce((s, c) => Math.max(s, Math.abs(c)), 0);
    if (size === 0) return 0;
    if (!Number.isFinite(size)) return NaN;
    log += weight * Math.log(size);
    m = m.map((c) => c / size);
    const square = new Array(n * n).fill(0);
    for (let a = 0; a < n; a++) for (let b = 0; b < n; b++) for (let c = 0; c < n; c++) square[a * n + c] += m[a * n + b] * m[b * n + c];
    m = square;
    weight /= 2;
  }
  return Math.exp(log);
};

/** Eigenvalues in rising order and unit eigenvectors of a symmetric 2×2 matrix. */
const principal = ([a, b, , d]) => {
  const mean = (a + d) / 2, half = Math.hypot((a - d) / 2, b);
  const angle = Math.atan2(2 * b, a - d) / 2;
  return { values: [mean - half, mean + half], vectors: [[-Math.sin(angle), Math.cos(angle)], [Math.cos(angle), Math.sin(angle)]] };
};

const stepKnob = (method) => method.knobs.findIndex((knob) => knob.isStep);

/** What a step multiplies a mode of curvature λ by: a number with its sign where it is one, else the spectral radius. */
const multiplier = (method, lam, values) => {
  const m = method.modes(lam, ...values);
  return { matrix: m, signed: m.length === 1, value: m.length === 1 ? m[0] : spectralRadius(m) };
};

/** The longest step with which every one of these modes stays, found by trying; with the other numbers as they are. */
const longestStep = (method, values, curvatures) => {
  const i = stepKnob(method);
  if (!method.modes || i < 0) return null;
  const stays = (h) => {
    const tried = values.map((v, j) => (j === i ? h : v));
    return curvatures.every((lam) => lam <= 0 || multiplier(method, lam, tried).value ** 2 <= 1 + 1e-9);
  };
  let low = method.knobs[i].low / 100, high = method.knobs[i].high;
  if (!stays(low)) return null;
  for (let doublings = 0; stays(high); doublings++) { if (doublings > 20) return Infinity; high *= 2; }
  for (let k = 0; k < 60; k++) { const middle = (low + high) / 2; if (stays(middle)) low = middle; else high = middle; }
  return low;
};

/** The greatest curvature that a step of this length allows, found by trying: ∞ where it allows any. */
const curvatureAllowed = (method, values) => {
  if (!method.modes) return null;
  const stays = (lam) => multiplier(method, lam, values).value ** 2 <= 1 + 1e-12;
  let low = 1e-9, high = 1;
  if (!stays(low)) return null;
  while (stays(high)) { low = high; high *= 2; if (high > 1e15) return Infinity; }
  for (let k = 0; k < 60; k++) { const middle = (low + high) / 2; if (stays(middle)) low = middle; else high = middle; }
  return low;
};

const sharpness = (scene, p) => principal(scene.hessian(p)).values[1];

const distance = (p, q) => Math.hypot(p[0] - q[0], p[1] - q[1]);

/** How a run ended: the period of a cycle of up to 12 steps, or 0; whether it was lost; whether it came to rest. */
const ending = (run) => {
  const n = run.x.length - 1;
  if (run.lost >= 0) return { kind: "lost", step: run.lost };
  if (n < 30) return { kind: "going" };
  const last = run.x[n], moved = distance(last, run.x[n - 1]);
  const size = Math.max(...run.x.slice(-13).map((p) => distance(p, last)));
  if (moved <= 1e-7 * (1 + Math.hypot(...last)) && size <= 1e-6 * (1 + Math.hypot(...last))) return { kind: "rest", at: last };
  for (let period = 2; period <= 12; period++) {
    const back = [0, 1, 2].every((i) => distance(run.x[n - i], run.x[n - i - period]) <= 1e-4 * size);
    if (back && size > 1e-6) return { kind: "cycle", period };
  }
  return { kind: "going" };
};
