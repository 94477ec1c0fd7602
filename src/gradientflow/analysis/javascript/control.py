"""Calls, which are written in place, and loops and branches, which stay what they are."""

import functools
import math
from typing import Any

import jax
import numpy as np

from . import arithmetic as a
from .nodes import Block, Branch, Loop, Node, Program
from .values import Cells, cells, constants, dtype_name, flat, unflat

# A scan of so few operations in all is written out.
_FEW = 120
# What asks Python while it runs.
_CALLS_BACK = ("pure_callback", "io_callback", "python_callback", "ffi_call", "custom_call", "xla_call_module")
_NAMES = ("call_jaxpr", "jaxpr", "fun_jaxpr")
_CALLS = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2", "custom_jvp_call",
          "custom_vjp_call", "custom_vjp_call_jaxpr", "custom_lin", "xla_call")  # fmt: skip


def evaluate(program: Program, rules: Any, closed: Any, inputs: list[Cells]) -> list[Cells]:
    """What a jaxpr answers: arrays of the program's scalars.

    Args:
        program: where the expressions go.
        rules: primitive's name ↦ how it is written.
        closed: the jaxpr, with its constants or without.
        inputs: its arguments.
    """
    jaxpr = getattr(closed, "jaxpr", closed)
    known: dict[Any, Cells] = {}

    def read(atom: Any) -> Cells:
        return constants(program, atom.val) if hasattr(atom, "val") else known[atom]

    for var, value in zip(jaxpr.constvars, getattr(closed, "consts", ()), strict=True):
        known[var] = constants(program, value)
    known |= dict(zip(jaxpr.invars, inputs, strict=True))
    for eqn in jaxpr.eqns:
        try:
            outputs = _written(program, rules, eqn, [read(atom) for atom in eqn.invars])
        except NotImplementedError as reason:
            # Only what is used is refused: much of what is traced is not.
            outputs = [_refused(var.aval, str(reason)) for var in eqn.outvars]
        known |= dict(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _refused(aval: Any, reason: str) -> Cells:
    return cells(aval.shape, lambda *_: Node("f8", "refused", value=reason))


def _written(program: Program, rules: Any, eqn: Any, values: list[Cells]) -> list[Cells]:
    name = eqn.primitive.name
    if name in rules:
        return rules[name](program, eqn, *values)
    if name in _CONTROL:
        return _CONTROL[name](program, rules, eqn, values)
    if name in _CALLS:
        inner = next(eqn.params[key] for key in _NAMES if key in eqn.params)
        return evaluate(program, rules, inner, values)
    if not eqn.outvars:
        # An effect that answers nothing: a print. A page has nobody to read it.
        return []
    if any(word in name for word in _CALLS_BACK):
        raise NotImplementedError(f"{name}, which calls back into Python; a page has none")
    return _by_definition(program, rules, eqn, values)


def _by_definition(program: Program, rules: Any, eqn: Any, values: list[Cells]) -> list[Cells]:
    """A primitive of a library's own, which it defines by what JAX has."""
    name, defined = eqn.primitive.name, eqn.primitive.impl
    if isinstance(defined, functools.partial) and defined.func.__name__ == "apply_primitive":
        raise NotImplementedError(name)
    shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars]
    try:
        traced = jax.make_jaxpr(lambda *args: defined(*args, **eqn.params))(*shapes)
    except Exception as error:
        raise NotImplementedError(name) from error
    if any(inner.primitive is eqn.primitive for inner in traced.jaxpr.eqns):
        raise NotImplementedError(name)
    return evaluate(program, rules, traced, values)


def _while(program: Program, rules: Any, eqn: Any, values: list[Cells]) -> list[Cells]:
    p = eqn.params
    nc, nb = p["cond_nconsts"], p["body_nconsts"]
    asked, done, carried = values[:nc], values[nc : nc + nb], values[nc + nb :]
    inner = p["body_jaxpr"].jaxpr
    stays = [out is into for out, into in zip(inner.outvars, inner.invars[nb:], strict=True)]
    moving = [value for value, same in zip(carried, stays, strict=True) if not same]
    loop, now = _opened(program, moving)
    inside = iter(now)
    state = [value if same else next(inside) for value, same in zip(carried, stays, strict=True)]
    (goes_on,) = evaluate(program, rules, p["cond_jaxpr"], [*asked, *state])
    loop.condition, loop.condition_ends = goes_on[()], len(loop.body.items)
    after = evaluate(program, rules, p["body_jaxpr"], [*done, *state])
    loop.following = flat([value for value, same in zip(after, stays, strict=True) if not same])
    program.leave()
    program.block.items.append(loop)
    ends = iter(unflat(loop.ends, moving))
    return [value if same else next(ends) for value, same in zip(carried, stays, strict=True)]


def _opened(program: Program, start: list[Cells]) -> tuple[Loop, list[Cells]]:
    """A loop whose block is open, and its variables in the shapes of what they are at first."""
    around, first = program.block, flat(start)
    body = program.enter()
    loop = Loop(around, body, first, [], [])
    for place, node in enumerate(first):
        loop.variables.append(Node(node.dtype, "variable", block=body, value=place, owner=loop))
        loop.ends.append(Node(node.dtype, "end", block=around, value=place, owner=loop))
    return loop, unflat(loop.variables, start)


def _scan(program: Program, rules: Any, eqn: Any, values: list[Cells]) -> list[Cells]:
    p = eqn.params
    nk, nc, length = p["num_consts"], p["num_carry"], p["length"]
    fixed, carry, rows = values[:nk], values[nk : nk + nc], values[nk + nc :]
    each_avals = [v.aval for v in p["jaxpr"].jaxpr.outvars[nc:]]
    if length * len(p["jaxpr"].jaxpr.eqns) <= _FEW or length == 0:
        kept = []
        for i in range(length - 1, -1, -1) if p["reverse"] else range(length):
            after = evaluate(program, rules, p["jaxpr"], [*fixed, *carry, *(np.asarray(row[i]) for row in rows)])
            carry = after[:nc]
            kept.append([np.asarray(value) for value in after[nc:]])
        kept = kept[::-1] if p["reverse"] else kept
        stacked = [
            np.stack([row[j] for row in kept]) if kept else np.empty((0, *aval.shape), dtype=object)
            for j, aval in enumerate(each_avals)
        ]
        return [*carry, *stacked]
    loop, now = _opened(program, carry)
    loop.count = length
    loop.counter = Node("i8", "counter", block=loop.body, owner=loop)
    place = loop.counter
    if p["reverse"]:
        place = a.binary(program, "sub", "i8", program.constant("i8", length - 1), place)
    after = evaluate(program, rules, p["jaxpr"], [*fixed, *now, *(_row(program, row, place) for row in rows)])
    loop.following = flat(after[:nc])
    answers = [_stacked(program, loop, value, p["reverse"]) for value in after[nc:]]
    program.leave()
    program.block.items.append(loop)
    return [*unflat(loop.ends, carry), *(answer() for answer in answers)]


def _row(program: Program, rows: Cells, place: Node) -> Cells:
    """The row of an array whose number is known only then."""
    size = math.prod(rows.shape[1:])
    if any(node.op == "key" for node in rows.ravel()[:1]):
        raise NotImplementedError("scan over keys; fold the step's number into one key")
    table = rows.reshape(len(rows), size)

    def element(j: int) -> Node:
        if all(node is table[0, j] for node in table[:, j]):
            return table[0, j]
        column = program.array(list(table[:, j]))
        return program.element(table[0, j].dtype, column, place)

    found = np.array([element(j) for j in range(size)], dtype=object)
    return found.reshape(rows.shape[1:])


def _stacked(program: Program, loop: Loop, value: Cells, reverse: bool) -> Any:
    """Keeps a value of every time; what is returned reads them after the loop."""
    stacks = []
    for node in value.ravel():
        stack = Node("array", "stack", block=loop.block, value=len(loop.stacks), owner=loop)
        loop.stacks.append((stack, node))
        stacks.append((stack, node.dtype))
    count = loop.count or 0

    def read() -> Cells:
        def element(i: int, *rest: int) -> Node:
            stack, dtype = stacks[int(np.ravel_multi_index(rest, value.shape)) if rest else 0]
            return program.element(dtype, stack, program.constant("i8", count - 1 - i if reverse else i))

        return cells((count, *value.shape), element)

    return read


def _cond(program: Program, rules: Any, eqn: Any, values: list[Cells]) -> list[Cells]:
    branches, (index, *operands) = eqn.params["branches"], values
    which: Node = index[()]
    if which.is_constant:
        taken = branches[min(max(int(which.value), 0), len(branches) - 1)]
        return evaluate(program, rules, taken, operands)
    if which.op == a.OF_TRUTH and len(branches) == 2:
        (which,) = which.args
    bodies: list[Block] = []
    answers: list[list[Cells]] = []
    around = program.block
    for branch in branches:
        bodies.append(program.enter())
        answers.append(evaluate(program, rules, branch, operands))
        program.leave()
    results = [flat(answer) for answer in answers]
    branch = Branch(around, which, bodies, results, [])
    for place, row in enumerate(zip(*results, strict=True)):
        same = all(node is row[0] for node in row)
        branch.ends.append(row[0] if same else Node(row[0].dtype, "end", block=around, value=place, owner=branch))
    program.block.items.append(branch)
    return unflat(branch.ends, answers[0])


def _linear_solve(program: Program, rules: Any, eqn: Any, values: list[Cells]) -> list[Cells]:
    """JAX's own linear solve: what solves it is given."""
    lengths = eqn.params["const_lengths"]
    before = lengths.matvec + lengths.vecmat
    given, right = values[before : before + lengths.solve], values[sum(lengths) :]
    return evaluate(program, rules, eqn.params["jaxprs"].solve, [*given, *right])


def _platform(program: Program, rules: Any, eqn: Any, values: list[Cells]) -> list[Cells]:
    """What JAX would do on a processor."""
    platforms = eqn.params["platforms"]
    index = next((i for i, names in enumerate(platforms) if names is None or "cpu" in names), 0)
    return [cells((), lambda: program.constant(dtype_name(eqn.outvars[0].aval), index))]


_CONTROL = {"while": _while, "scan": _scan, "cond": _cond, "custom_linear_solve": _linear_solve,
            "platform_index": _platform}  # fmt: skip
