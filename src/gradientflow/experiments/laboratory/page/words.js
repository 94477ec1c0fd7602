// Sentences about what was computed; the limits and their grades are the package's own, exported with the page.

const named = (method) => method.label.replaceAll("_", " ");

const stepName = (method) => (stepKnob(method) < 0 ? "step" : method.knobs[stepKnob(method)].symbol);

/** Whether the numbers beside the step are those at which the package found its limit. */
const asExported = (m) => m.method.knobs.every((knob, i) => knob.isStep || m.values[i] === knob.value);

/** The limit that holds now: the package's, or one that the page found by trying. */
const limitOf = (m, found) => {
  const { known } = m.method;
  if (known.limit !== null && asExported(m)) return { limit: Number(known.limit), grade: known.grade, words: known.words };
  if (known.limit === null) return { limit: null, grade: known.grade, words: known.words };
  const tried = found.minimum ? longestStep(m.method, m.values, found.principal.values) : null;
  return tried === null ? { limit: null, grade: "unknown", words: "no limit is known with these numbers" }
    : { limit: tried, grade: "measured", words: tried === Infinity ? "every step is stable near this minimum" : "stable near this minimum up to" };
};

const limitWords = (m, found) => {
  const { limit, grade, words } = limitOf(m, found), name = stepName(m.method);
  if (limit === null || limit === Infinity) return { text: words, grade, beyond: false };
  const beyond = m.step > limit * (1 + 1e-9);
  return { text: `${words} ${name} = ${+limit.toPrecision(4)}; you are at ${+m.step.toPrecision(4)}`, grade, beyond };
};

const COUNTED = ["", "", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

const endWords = (m, found) => {
  if (m.method.noisy) return m.end.kind === "lost" ? `runs away: gone after ${m.end.step} steps` : "noise keeps it moving";
  if (m.end.kind === "lost") return `runs away: gone after ${m.end.step} steps`;
  if (m.end.kind === "cycle") return `period ${COUNTED[m.end.period]}: it goes round for ever and does not arrive`;
  if (m.end.kind === "rest") {
    const there = found.scene.minima.some((p) => distance(p, m.end.at) < 1e-4 * (1 + Math.hypot(...p)));
    if (there) return "arrives at the minimum";
    const [least, most] = principal(found.scene.hessian(m.end.at)).values;
    if (least < -1e-6 * Math.abs(most)) return "comes to rest on a saddle";
    return `comes to rest elsewhere, where the greatest curvature is ${shown(most)}`;
  }
  const n = m.run.x.length - 1, gone = found.minimum ? distance(m.run.x[n], found.minimum) / distance(m.run.x[0], found.minimum) : NaN;
  if (gone > 1.5) return "moves away, farther with every step";
  return gone < 0.1 ? "comes closer, step by step" : "is still under way";
};

/** The one sentence above the landscape, of the first method: what a step does across the valley. */
const headline = (found) => {
  const m = found.visible[0];
  if (!m) return "No method is shown: tick one.";
  if (m.end.kind === "cycle") return `${named(m.method)}: period ${COUNTED[m.end.period]}. It goes round for ever.`;
  if (m.law && found.scene.show[0] === "density" && m.end.kind !== "lost") {
    const wide = spread(m.long.map((x) => [x, 1])) / spread(m.law);
    return `Its spread along x is ${wide.toFixed(2)} times that of the exact law.`;
  }
  if (found.scene.show[0] === "sharpness" && m.end.kind !== "lost") {
    const last = m.run.x[m.run.x.length - 1], allowed = curvatureAllowed(m.method, m.values), path = found.flow.path;
    const may = allowed === null || allowed === Infinity ? "" : ` Its step allows ${shown(allowed)};`;
    return `It ends where the curvature is ${shown(sharpness(found.scene, last))}.${may} the flow ends at ${shown(sharpness(found.scene, path[path.length - 1]))}.`;
  }
  if (!found.minimum || !m.method.modes || m.method.noisy) return `${named(m.method)}: ${endWords(m, found)}.`;
  const steep = multiplier(m.method, found.principal.values[1], m.values);
  const flat = multiplier(m.method, found.principal.values[0], m.values);
  // Of an energy that is not quadratic that is so near the minimum only.
  const of = (words) => (found.quadratic ? words[0].toUpperCase() + words.slice(1) : `Near the minimum, ${words.replace("It runs away.", "It does not stay there.")}`);
  if (steep.signed) {
    const r = steep.value, times = shown(Math.abs(r));
    if (r < -1) return of(`too long: each step jumps across the valley and lands ${times} times as far out. It runs away.`);
    if (r <= -0.995) return of("just at the limit: each step jumps across the valley and lands as far out as it was.");
    if (r < -0.02) return of(`each step jumps across the valley: it lands on the other side, ${times} times as far out. So it zigzags.`);
    if (r > 1) return of(`each step moves out, ${times} times as far.`);
    return of(`each step stays on its side of the valley: ${times} of the way is left. It slides in.`);
  }
  const swings = (part) => part.matrix.length === 4 && (part.matrix[0] + part.matrix[3]) ** 2 < 4 * (part.matrix[0] * part.matrix[3] - part.matrix[1] * part.matrix[2]);
  if (steep.value > 1 || flat.value > 1) return of(`too long: each step multiplies the distance by ${shown(Math.max(steep.value, flat.value))}. It runs away.`);
  const left = `${shown(Math.max(steep.value, flat.value))} of the distance is left after a step`;
  if (swings(flat)) return of(`it swings through the minimum along the valley: ${left}.`);
  return of(swings(steep) ? `it swings across the valley and creeps along it: ${left}.` : `it creeps in without swinging: ${left}.`);
};
