// What generated code calls beyond JavaScript's own: each helper is copied into a program that uses it.

const whole = (x, low, high) => (x !== x ? 0 : Math.min(Math.max(Math.trunc(x), low), high));

const roundEven = (x) => { const r = Math.round(x); return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r; };

const roundAway = (x) => Math.sign(x) * Math.floor(Math.abs(x)) + (Math.abs(x % 1) >= 0.5 ? Math.sign(x) : 0);

const clampIndex = (i, top) => (i < 0 ? 0 : i > top ? top : i);

const bits = new DataView(new ArrayBuffer(8));

const bits_f8_u8 = (x) => { bits.setFloat64(0, x); return bits.getBigUint64(0); };

const bits_u8_f8 = (x) => { bits.setBigUint64(0, x); return bits.getFloat64(0); };

const bits_f4_u4 = (x) => { bits.setFloat32(0, x); return bits.getUint32(0); };

const bits_u4_f4 = (x) => { bits.setUint32(0, x); return bits.getFloat32(0); };

const bits_f4_i4 = (x) => { bits.setFloat32(0, x); return bits.getInt32(0); };

const bits_i4_f4 = (x) => { bits.setInt32(0, x); return bits.getFloat32(0); };

// A double of so many fewer bits, to the nearest, of two as near to the even one.
const reduced = (x, fewer) => {
  if (!Number.isFinite(x)) return x;
  const n = BigInt(fewer), u = bits_f8_u8(x);
  return bits_u8_f8(((u + (1n << (n - 1n)) - 1n + ((u >> n) & 1n)) >> n) << n);
};

// Threefry-2x32 of 20 rounds: J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011.
const threefry = (key0, key1, x, y) => {
  const keys = [key0, key1, key0 ^ key1 ^ 0x1bd11bda];
  const turns = [[13, 15, 26, 6], [17, 29, 16, 24]];
  x = (x + key0) | 0;
  y = (y + key1) | 0;
  for (let i = 0; i < 5; i++) {
    for (const r of turns[i % 2]) {
      x = (x + y) | 0;
      y = ((y << r) | (y >>> (32 - r))) ^ x;
    }
    x = (x + keys[(i + 1) % 3]) | 0;
    y = (y + keys[(i + 2) % 3] + i + 1) | 0;
  }
  return [x >>> 0, y >>> 0];
};

// M. Giles, Approximating the erfinv function, 2010, in double and in single precision, as XLA has it.
const erfInv = (x) => {
  if (Math.abs(x) === 1) return x * Infinity;
  let w = -Math.log1p(x * -x);
  const c = w < 6.25
    ? [-3.6444120640178197e-21, -1.6850591381820166e-19, 1.28584807152564e-18, 1.1157877678025181e-17,
      -1.333171662854621e-16, 2.0972767875968562e-17, 6.637638134358324e-15, -4.054566272975207e-14,
      -8.151934197605472e-14, 2.6335093153082323e-12, -1.2975133253453532e-11, -5.415412054294628e-11,
      1.0512122733215323e-9, -4.112633980346984e-9, -2.9070369957882005e-8, 4.2347877827932404e-7,
      -0.0000013654692000834679, -0.000013882523362786469, 0.00018673420803405714, -0.000740702534166267,
      -0.006033670871430149, 0.24015818242558962, 1.6536545626831027]
    : w < 16
      ? [2.2137376921775787e-9, 9.075656193888539e-8, -2.7517406297064545e-7, 1.8239629214389228e-8,
        0.0000015027403968909828, -0.000004013867526981546, 0.0000029234449089955446, 0.000012475304481671779,
        -0.00004731822900905575, 0.00006828485145957318, 0.000024031110387097894, -0.0003550375203628475,
        0.0009532893797373805, -0.0016882755560235047, 0.002491442096107851, -0.003751208507569241,
        0.005370914553590064, 1.0052589676941592, 3.0838856104922208]
      : [-2.7109920616438573e-11, -2.555641816996525e-10, 1.5076572693500548e-9, -3.789465440126737e-9,
        7.61570120807834e-9, -1.496002662714924e-8, 2.9147953450901081e-8, -6.771199775845234e-8,
        2.2900482228026655e-7, -9.9298272942317e-7, 0.000004526062597223154, -0.00001968177810553167,
        0.00007599527703001776, -0.00021503011930044477, -0.00013871931833623122, 1.0103004648645344,
        4.849906401408584];
  w = w < 6.25 ? w - 3.125 : Math.sqrt(w) - (w < 16 ? 3.25 : 5);
  return c.reduce((p, a) => a + p * w) * x;
};

// A product and a sum of it are rounded once, as XLA has processors do it.
const erfInvSingle = (x) => {
  if (Math.abs(x) === 1) return x * Infinity;
  const f = Math.fround;
  let w = f(-Math.log1p(f(x * -x)));
  const c = w < 5
    ? [2.81022636e-8, 3.43273939e-7, -0.0000035233877, -0.00000439150654, 0.00021858087, -0.00125372503,
      -0.00417768164, 0.246640727, 1.50140941]
    : [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
      0.00943887047, 1.00167406, 2.83297682];
  w = f(w < 5 ? w - 2.5 : f(Math.sqrt(w)) - 3);
  return f(c.map(f).reduce((p, a) => f(a + p * w)) * x);
};

// Jacobi's rotations: eigenvalues in rising order, then the eigenvectors' columns, row by row.
const eigh = (a, n) => {
  const v = Array.from({ length: n * n }, (_, i) => +(i % (n + 1) === 0));
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) off += Math.abs(a[p * n + q]);
    if (!(off > 0)) break;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (a[p * n + q] === 0) continue;
        const tau = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
        const t = (tau < 0 ? -1 : 1) / (Math.abs(tau) + Math.hypot(1, tau));
        const c = 1 / Math.hypot(1, t), s = t * c;
        for (let k = 0; k < n; k++) {
          const x = a[k * n + p], y = a[k * n + q];
          a[k * n + p] = c * x - s * y;
          a[k * n + q] = s * x + c * y;
        }
        for (let k = 0; k < n; k++) {
          const x = a[p * n + k], y = a[q * n + k];
          a[p * n + k] = c * x - s * y;
          a[q * n + k] = s * x + c * y;
          const vx = v[k * n + p], vy = v[k * n + q];
          v[k * n + p] = c * vx - s * vy;
          v[k * n + q] = s * vx + c * vy;
        }
      }
    }
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => a[i * n + i] - a[j * n + j]);
  const columns = [];
  for (let k = 0; k < n; k++) for (const i of order) columns.push(v[k * n + i]);
  return [...order.map((i) => a[i * n + i]), ...columns];
};
