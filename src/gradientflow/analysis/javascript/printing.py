"""From blocks to text: what is used, what needs a name, and how a number is written."""

import functools
import itertools
import math
import re
from collections.abc import Iterator
from importlib import resources
from string import ascii_letters
from typing import Any

from .nodes import CHOICE, COMPARE, UNARY, Block, Branch, Loop, Node, Program

_RESERVED = frozenset(("do", "if", "in", "as", "is", "of"))


class NotWrittenError(Exception):
    """The program needs what could not be translated, and says what."""


def printed(program: Program, arguments: list[tuple[str, list[Node]]], results: list[list[Node] | Node]) -> str:
    """An expression that is a function.

    Args:
        program: what was written.
        arguments: its parameters: `scalar`, `array` or `nested` and the nodes that stand for their numbers.
        results: what it returns, a node or a list of them for each part.
    """
    uses = _Uses()
    for result in results:
        for node in result if isinstance(result, list) else [result]:
            uses.count(node, program.root)
    return _Printer().function(program, arguments, results)


class _Uses:
    """How often each node is used, and what the program does not use at all."""

    def __init__(self) -> None:
        self.met: set[Any] = set()

    def count(self, node: Node, where: Any) -> None:
        """Counts a use of a node in a block, and of what it is made of."""
        waiting: list[tuple[Node, Any]] = [(node, where)]
        while waiting:
            node, where = waiting.pop()
            if node.op == "refused":
                raise NotWrittenError(node.value)
            node.uses += 1
            if node.uses > 1 or where is not node.block:
                node.shared = True
            if node.uses == 1:
                waiting += self._made_of(node)

    def _made_of(self, node: Node) -> list[tuple[Node, Any]]:
        owner, place = node.owner, node.value
        if isinstance(owner, Branch):
            # It is asked once for each block but the last.
            asked = [(owner.index, owner.block)] * (len(owner.bodies) - 1)
            index = asked if self._first(owner) else []
            return index + [(r[place], body) for r, body in zip(owner.results, owner.bodies, strict=True)]
        if isinstance(owner, Loop):
            needed = [(owner.condition, owner.body)] if self._first(owner) and owner.condition is not None else []
            if node.op == "stack":
                return [*needed, (owner.stacks[place][1], owner.body)]
            if node.op == "counter" or not self._first((owner, place)):
                return needed
            return [*needed, (owner.start[place], owner.block), (owner.following[place], owner.body)]
        return [(arg, node.block) for arg in node.args]

    def _first(self, thing: Any) -> bool:
        new = thing not in self.met
        self.met.add(thing)
        return new


def number(value: Any, dtype: str = "f8") -> str:
    """A number as JavaScript reads it: the shortest that is read as the same."""
    if dtype == "b1":
        return "true" if value else "false"
    if dtype == "u8":
        return f"{int(value)}n"
    if dtype[0] != "f":
        return str(int(value))
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    text = repr(float(value))
    text = re.sub(r"\.0$", "", text).replace("e+", "e").replace("e-0", "e-").replace("e0", "e")
    return re.sub(r"^(-?)0\.", r"\1.", text)


@functools.cache
def helpers() -> dict[str, str]:
    """The helper functions by name, without their comments, in an order in which each knows those before it."""
    text = resources.files("gradientflow.analysis.javascript").joinpath("helpers.js").read_text(encoding="utf-8")
    text = re.sub(r"^[ \t]*//.*\n", "", text, flags=re.MULTILINE)
    parts = [part.strip() for part in text.split("\n\n") if part.strip()]
    found = {}
    for part in parts:
        name = re.match(r"const (\w+)", part)
        assert name is not None
        found[name[1]] = re.sub(r"\s*\n\s*", " ", part)
    return found


class _Printer:
    def __init__(self) -> None:
        self.names = self._all_names()
        self.called: set[str] = set()
        self.written: dict[Node, tuple[str, int]] = {}

    @staticmethod
    def _all_names() -> Iterator[str]:
        taken = _RESERVED | set(helpers())
        for length in itertools.count(1):
            for letters in itertools.product(ascii_letters, repeat=length):
                if (name := "".join(letters)) not in taken:
                    yield name

    def function(
        self, program: Program, arguments: list[tuple[str, list[Node]]], results: list[list[Node] | Node]
    ) -> str:
        parameters, head = [], []
        for kind, nodes in arguments:
            name = next(self.names)
            parameters.append(name)
            if kind == "nested" and any(node.uses for node in nodes):
                head.append(f"{name}={name}.flat(Infinity);")
            often = []
            for i, node in enumerate(nodes):
                node.name = name if kind == "scalar" else f"{name}[{i}]"
                if kind != "scalar" and node.uses > 1:
                    node.name = next(self.names)
                    often.append(f"{node.name}={name}[{i}]")
            head += [f"const {','.join(often)};"] if often else []
        lines = head + self.block(program.root)
        parts = [
            "[" + ",".join(self.text(node) for node in result) + "]" if isinstance(result, list) else self.text(result)
            for result in results
        ]
        answer = parts[0] if len(parts) == 1 else "[" + ",".join(parts) + "]"
        code = f"({','.join(parameters)})=>{{{''.join(lines)}return {answer}}}"
        if not self.called:
            return code
        known = "".join(text for name, text in helpers().items() if name in self.called)
        return f"(()=>{{{known}return {code}}})()"

    def block(self, block: Block, items: list[Any] | None = None) -> list[str]:
        lines: list[str] = []
        constants: list[str] = []

        def flush() -> None:
            if constants:
                lines.append(f"const {','.join(constants)};")
                constants.clear()

        for item in block.items if items is None else items:
            if isinstance(item, Node):
                if item.uses and item.shared:
                    text = self.text(item)
                    item.name = next(self.names)
                    constants.append(f"{item.name}={text}")
            else:
                before = self.loop(item) if isinstance(item, Loop) else self.branch(item)
                flush()
                lines += before
        flush()
        return lines

    def text(self, node: Node, needs: int = CHOICE) -> str:
        """A node where it is used: its name, its value, or its expression."""
        if node.name:
            return node.name
        if node.is_constant:
            text = number(node.value, node.dtype)
            return f"({text})" if text[0] == "-" and needs > UNARY else text
        self.called.update(node.op.helper)
        text = node.op.text.format(*map(self.text, node.args, node.op.needs))
        # A sign after a sign is no increment.
        text = text.replace("--", "- -").replace("++", "+ +")
        return f"({text})" if node.op.binds < needs else text

    def loop(self, loop: Loop) -> list[str]:
        live = [i for i, (a, b) in enumerate(zip(loop.variables, loop.ends, strict=True)) if a.uses or b.uses]
        stacks = [(stack, node) for stack, node in loop.stacks if stack.uses]
        if not live and not stacks and not (loop.counter is not None and loop.counter.uses):
            return []
        lines, declared = [], []
        for i in live:
            name = next(self.names)
            declared.append(f"{name}={self.text(loop.start[i])}")
            loop.variables[i].name = loop.ends[i].name = name
        for stack, _ in stacks:
            stack.name = next(self.names)
            declared.append(f"{stack.name}=[]")
        if declared:
            lines.append(f"let {','.join(declared)};")
        if loop.counter is not None:
            loop.counter.name = next(self.names)
            counter = loop.counter.name
            lines.append(f"for(let {counter}=0;{counter}<{loop.count};{counter}++){{")
        else:
            lines.append("for(;;){")
        if loop.condition is not None:
            lines += self.block(loop.body, loop.body.items[: loop.condition_ends])
            lines.append(f"if(!({self.text(loop.condition)}))break;")
        lines += self.block(loop.body, loop.body.items[loop.condition_ends :])
        lines += [f"{stack.name}.push({self.text(node)});" for stack, node in stacks]
        changes = [(loop.variables[i].name, self.text(loop.following[i])) for i in live]
        changes = [(name, text) for name, text in changes if name != text]
        if len(changes) == 1:
            lines.append(f"{changes[0][0]}={changes[0][1]};")
        elif changes:
            # All at once: what one becomes may depend on what another was.
            after = [next(self.names) for _ in changes]
            lines.append(f"const {','.join(f'{n}={text}' for n, (_, text) in zip(after, changes, strict=True))};")
            lines.append("".join(f"{name}={n};" for n, (name, _) in zip(after, changes, strict=True)))
        return [*lines, "}"]

    def branch(self, branch: Branch) -> list[str]:
        # What every block answers alike is no answer of the branch's.
        live = [i for i, end in enumerate(branch.ends) if end.owner is branch and end.uses]
        if not live:
            return []
        for i in live:
            branch.ends[i].name = next(self.names)
        lines = [f"let {','.join(branch.ends[i].name for i in live)};"]
        last = len(branch.bodies) - 1
        index = self.text(branch.index, COMPARE)
        for place in range(last, -1, -1):
            if branch.index.dtype == "b1":
                head = f"if({index})" if place == last else "else"
            else:
                head = "else" if place == 0 else f"{'' if place == last else 'else '}if({index}>={place})"
            body = self.block(branch.bodies[place])
            body += [f"{branch.ends[i].name}={self.text(branch.results[place][i])};" for i in live]
            lines.append(f"{head}{{{''.join(body)}}}")
        return lines
