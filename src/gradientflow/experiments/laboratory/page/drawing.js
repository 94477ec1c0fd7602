// A pen that draws on a canvas or writes SVG, and a frame with axes. Nothing is computed here.

// A colour by its name in the style; asked once, until the page turns dark or light.
const tones = new Map();

const tone = (name) => {
  if (!tones.has(name)) tones.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return tones.get(name);
};

/** The part of a canvas's context that the figures use, as SVG. */
class SvgPen {
  constructor(width, height) {
    Object.assign(this, { width, height, parts: [], path: "", strokeStyle: "#000", fillStyle: "#000", lineWidth: 1,
      globalAlpha: 1, font: "16px sans-serif", textAlign: "left", textBaseline: "alphabetic", dash: "", lineJoin: "", lineCap: "" });
  }
  beginPath() { this.path = ""; }
  moveTo(x, y) { this.path += `M${x.toFixed(2)} ${y.toFixed(2)}`; }
  lineTo(x, y) { this.path += `L${x.toFixed(2)} ${y.toFixed(2)}`; }
  arc(x, y, r) { this.path += `M${(x - r).toFixed(2)} ${y.toFixed(2)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`; }
  setLineDash(dash) { this.dash = dash.join(" "); }
  shape(attributes) { this.parts.push(`<path d="${this.path}" opacity="${this.globalAlpha}" ${attributes}/>`); }
  stroke() { this.shape(`fill="none" stroke="${this.strokeStyle}" stroke-width="${this.lineWidth}" stroke-dasharray="${this.dash}" stroke-linejoin="round"`); }
  fill() { this.shape(`fill="${this.fillStyle}"`); }
  fillRect(x, y, w, h) { this.parts.push(`<rect x="${x}" y="${y}" width="${w}" height="${h}" fill="${this.fillStyle}" opacity="${this.globalAlpha}"/>`); }
  fillText(text, x, y) {
    const anchor = { left: "start", center: "middle", right: "end" }[this.textAlign];
    const escaped = String(text).replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
    this.parts.push(`<text x="${x}" y="${y}" fill="${this.fillStyle}" text-anchor="${anchor}" font-family="sans-serif" font-size="15">${escaped}</text>`);
  }
  text() {
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${this.width} ${this.height}"><rect width="100%" height="100%" fill="${tone("--paper")}"/>${this.parts.join("")}</svg>`;
  }
}

/** A canvas at the screen's own resolution: its pen, width and height in CSS pixels. */
const onCanvas = (canvas) => {
  const width = canvas.clientWidth, height = canvas.clientHeight, ratio = window.devicePixelRatio || 1;
  const w = Math.round(width * ratio), h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
};

const line = (pen, points, { colour, width = 2, dash = [], alpha = 1 }) => {
  Object.assign(pen, { strokeStyle: colour, lineWidth: width, globalAlpha: alpha, lineJoin: "round", lineCap: "round" });
  pen.setLineDash(dash);
  pen.beginPath();
  let down = false;
  for (const p of points) {
    if (!p || !Number.isFinite(p[0] + p[1])) { down = false; continue; }
    if (down) pen.lineTo(p[0], p[1]); else pen.moveTo(p[0], p[1]);
    down = true;
  }
  pen.stroke();
  pen.setLineDash([]);
  pen.globalAlpha = 1;
};

const dot = (pen, p, radius, colour, ring) => {
  if (!Number.isFinite(p[0] + p[1])) return;
  pen.beginPath();
  pen.arc(p[0], p[1], radius, 0, 2 * Math.PI);
  pen.fillStyle = colour;
  pen.fill();
  if (ring) { Object.assign(pen, { strokeStyle: ring, lineWidth: 1.5 }); pen.stroke(); }
};

/** Many dots of a colour, in one stroke of the pen; those for which `ringed` holds have a ring. */
const dots = (pen, points, radius, colour, ring, ringed = () => true) => {
  const round = (some) => {
    pen.beginPath();
    for (const [x, y] of some) { pen.moveTo(x + radius, y); pen.arc(x, y, radius, 0, 2 * Math.PI); }
  };
  const finite = points.filter((p) => Number.isFinite(p[0] + p[1]));
  if (!finite.length) return;
  round(finite);
  pen.fillStyle = colour;
  pen.fill();
  if (!ring) return;
  round(finite.filter((_, k) => ringed(finite, k)));
  Object.assign(pen, { strokeStyle: ring, lineWidth: 1.5 });
  pen.stroke();
};

const write = (pen, text, x, y, { colour = tone("--ink"), align = "left", size = 15, base = "alphabetic" } = {}) => {
  Object.assign(pen, { fillStyle: colour, textAlign: align, textBaseline: base, font: `${size}px system-ui, "DejaVu Sans", sans-serif`, globalAlpha: 1 });
  pen.fillText(text, x, y);
};

/** Round numbers within an interval, about so many. */
const ticks = (low, high, about = 5) => {
  const raw = (high - low) / about, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(+(i * step).toPrecision(12));
  return found;
};

const shown = (value) => {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "–";
  const size = Math.abs(value);
  return (size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(1) : String(+value.toPrecision(3))).replace("-", "−");
};

/** Axes with round numbers; gives the ways from data to the picture. */
const axes = (pen, width, height, box, { xLabel = "", yLabel = "", log = false } = {}) => {
  const left = 56, right = 12, top = 12, bottom = 40;
  const [x0, x1] = box[0], [y0, y1] = box[1];
  const X = (x) => left + ((x - x0) / (x1 - x0)) * (width - left - right);
  const Y = (y) => height - bottom - ((y - y0) / (y1 - y0)) * (height - top - bottom);
  const soft = tone("--soft"), grid = tone("--line");
  for (const x of ticks(x0, x1)) {
    line(pen, [[X(x), top], [X(x), height - bottom]], { colour: grid, width: 1 });
    // A number at the edge ends there.
    const outside = X(x) > width - 3 * right;
    write(pen, shown(x), outside ? width - 4 : X(x), height - bottom + 18, { colour: soft, align: outside ? "right" : "center" });
  }
  for (const y of ticks(y0, y1, 4).filter((v) => !log || Number.isInteger(v))) {
    line(pen, [[left, Y(y)], [width - right, Y(y)]], { colour: grid, width: 1 });
    write(pen, log ? `1e${String(y).replace("-", "−")}` : shown(y), left - 6, Y(y), { colour: soft, align: "right", base: "middle" });
  }
  write(pen, xLabel, width - right, height - 6, { align: "right" });
  write(pen, yLabel, left + 6, top + 14, {});
  return { X, Y, left, right: width - right, top, bottom: height - bottom, clampY: (y) => Math.min(Math.max(Y(y), -5000), 5000 + height) };
};

/** Level lines by marching squares: segments of one level of a grid of values. */
const levelSegments = (grid, n, level) => {
  const segments = [];
  for (let j = 0; j < n - 1; j++) {
    for (let i = 0; i < n - 1; i++) {
      const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
      const v = corners.map(([a, b]) => grid[b * n + a] - level);
      const cuts = [];
      for (let e = 0; e < 4; e++) {
        const f = (e + 1) % 4;
        if (v[e] < 0 !== v[f] < 0) {
          const s = v[e] / (v[e] - v[f]);
          cuts.push([corners[e][0] + s * (corners[f][0] - corners[e][0]), corners[e][1] + s * (corners[f][1] - corners[e][1])]);
        }
      }
      for (let c = 0; c + 1 < cuts.length; c += 2) segments.push([cuts[c], cuts[c + 1]]);
    }
  }
  return segments;
};
