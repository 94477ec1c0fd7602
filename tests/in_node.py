"""Generated JavaScript run by node: every program of a test file in one process."""

import json
import math
import re
import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed, which runs what is generated")

# Numbers that JSON has no words for, and unsigned ones of 64 bits.
_DRIVER = """
const odd = (x) => typeof x === "number" && (!Number.isFinite(x) || Object.is(x, -0));
const replacer = (_, x) => typeof x === "bigint" ? { big: String(x) }
  : odd(x) ? { odd: Object.is(x, -0) ? "-0" : String(x) } : x;
"""


def literal(value):
    """An argument as JavaScript: numbers, nested arrays, keys as their words."""
    if jax.dtypes.issubdtype(getattr(value, "dtype", np.float64), jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    array = np.asarray(value)
    if array.ndim:
        return "[" + ",".join(map(literal, array)) + "]"
    if array.dtype == np.uint64:
        return f"{int(array)}n"
    if array.dtype == bool:
        return str(bool(array)).lower()
    text = repr(array.item())
    return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(text, text)


def _read(thing):
    if "big" in thing:
        return int(thing["big"])
    if "odd" not in thing:
        return thing
    return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf, "-0": -0.0}[thing["odd"]]


class Batch:
    """Programs and what they are asked, run together when the first answer is asked for."""

    def __init__(self):
        self.questions, self.found = {}, None

    def ask(self, name, fn, *calls):
        """A function called with each of several tuples of arguments, the first of which is its example."""
        code = gf.to_javascript(fn, *calls[0])
        asked = ["[" + ",".join(map(literal, jax.tree.leaves(call))) + "]" for call in calls]
        self.questions[name] = f"(()=>{{const f={code};return [{','.join(asked)}].map(a=>f(...a))}})()"
        return code

    def ask_iterates(self, name, start, one, position, x0, settings, steps):
        """Positions of a method's steps from x0, for each of several tuples of parameters."""
        carry = start(x0, *settings[0])
        parts = [
            gf.to_javascript(lambda x, *p: jax.tree.leaves(start(x, *p)), x0, *settings[0]),
            gf.to_javascript(lambda c, *p: jax.tree.leaves(one(c, *p)), carry, *settings[0]),
            gf.to_javascript(position, carry, *settings[0]),
        ]
        several = len(jax.tree.leaves(carry)) > 1
        self.questions[name] = (
            f"(()=>{{const [start,one,position]=[{','.join(parts)}],several={str(several).lower()};"
            f"const run=p=>{{let c=start({literal(x0)},...p);if(!several)c=[c];const xs=[position(...c,...p)];"
            f"for(let k=0;k<{steps};k++){{c=one(...c,...p);if(!several)c=[c];xs.push(position(...c,...p))}}return xs}};"
            f"return [{','.join(literal(p) for p in settings)}].map(run)}})()"
        )
        return parts

    def answer(self, name):
        """What one of them answered, for each call."""
        if self.found is None:
            lines = [f"out[{json.dumps(key)}]={text};" for key, text in self.questions.items()]
            program = _DRIVER + "const out={};\n" + "\n".join(lines) + "\nconsole.log(JSON.stringify(out,replacer));"
            done = subprocess.run([NODE, "-"], input=program, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, re.sub(r"\S{400,}", "…", done.stderr)[:2000]
            self.found = json.loads(done.stdout, object_hook=_read)
        return self.found[name]


def flattened(value):
    """What Python answers, as the program does: numbers, arrays flat row by row, several leaves as a list."""
    leaves = [np.asarray(jax.random.key_data(v) if jnp.issubdtype(v.dtype, jax.dtypes.prng_key) else v)
              for v in map(jnp.asarray, jax.tree.leaves(value))]  # fmt: skip
    parts = [leaf.item() if leaf.ndim == 0 else leaf.ravel().tolist() for leaf in leaves]
    return parts[0] if len(parts) == 1 else parts
