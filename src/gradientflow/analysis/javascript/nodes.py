"""What a translation is made of: scalar expressions, each written once, in blocks with loops and branches."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

# A program of more expressions is no page's.
_LONGEST = 100_000
# An expression is given a name where it would be nested deeper than this.
_DEEPEST = 40

# How tightly JavaScript's operators bind; `CALL` is a name, a number or a call.
CHOICE, OR, AND, BIT_OR, BIT_XOR, BIT_AND, EQUAL, COMPARE, SHIFT, SUM, PRODUCT, UNARY, CALL = range(13)


class LongProgramError(Exception):
    """What is unrolled would be longer than any page should be."""


class Op(NamedTuple):
    """A JavaScript expression with places for its arguments.

    Attributes:
        text: the expression, `{}` where an argument goes.
        binds: how tightly it binds.
        needs: how tightly each argument must bind to stand there without parentheses.
        helper: the helper functions that it calls.
    """

    text: str
    binds: int = CALL
    needs: tuple[int, ...] = ()
    helper: tuple[str, ...] = ()


@dataclasses.dataclass(eq=False, slots=True)
class Node:
    """A scalar value of the program.

    Attributes:
        dtype: NumPy's short name, `f8` or `u4`; `array` for a JavaScript array, `key` for a pair of words.
        op: how it is computed, or what else it is: a constant, an argument, a variable of a loop.
        args: what it is computed from.
        block: where.
        depth: how deeply it is nested if everything is written in place.
        value: a constant's value, the place of a variable among its statement's.
        owner: the loop or branch that it is a variable of.
        uses: how often the program uses it; counted when it is printed.
        shared: whether it needs a name.
        name: the name.
    """

    dtype: str
    op: Any
    args: tuple["Node", ...] = ()
    block: Any = None
    depth: int = 0
    value: Any = None
    owner: Any = None
    uses: int = 0
    shared: bool = False
    name: str = ""

    @property
    def is_constant(self) -> bool:
        """Whether its value is known now."""
        return self.op == "constant"


@dataclasses.dataclass(eq=False)
class Block:
    """Statements in order, with what was computed there."""

    parent: "Block | None" = None
    items: list[Any] = dataclasses.field(default_factory=list)
    known: dict[Any, Node] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(eq=False)
class Loop:
    """A loop: while a condition holds, or so many times.

    Attributes:
        block: where it stands.
        body: what is done each time; the condition's own expressions come first.
        start: what its variables are at first.
        variables: what they are inside of it.
        ends: what they are after it.
        following: what they become.
        condition: whether it goes on; `None` where it is counted.
        condition_ends: how many of the body's items are the condition's.
        count: how often, where it is counted.
        counter: the number of this time.
        stacks: arrays that it fills, and with what each time.
    """

    block: Block
    body: Block
    start: list[Node]
    variables: list[Node]
    ends: list[Node]
    following: list[Node] = dataclasses.field(default_factory=list)
    condition: Node | None = None
    condition_ends: int = 0
    count: int | None = None
    counter: Node | None = None
    stacks: list[tuple[Node, Node]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(eq=False)
class Branch:
    """A choice among blocks by an index.

    Attributes:
        block: where it stands.
        index: which block is taken.
        bodies: the blocks.
        results: what each answers.
        ends: the answers, after it.
    """

    block: Block
    index: Node
    bodies: list[Block]
    results: list[list[Node]]
    ends: list[Node]


class Program:
    """A translation under way: where the next expression goes.

    Attributes:
        block: the block that is being written.
        size: how many expressions there are.
    """

    def __init__(self) -> None:
        self.root = self.block = Block()
        self.constants: dict[Any, Node] = {}
        self.size = 0

    def constant(self, dtype: str, value: Any) -> Node:
        """A number that is known now, of the precision that it has."""
        value = _as_python(dtype, value)
        key = (dtype, str(value), math.copysign(1, value) if isinstance(value, float) else 0)
        if key not in self.constants:
            self.constants[key] = Node(dtype, "constant", value=value)
        return self.constants[key]

    def expression(self, dtype: str, op: Op, *args: Node) -> Node:
        """An expression; one that was written before, here or around here, is that one."""
        key = (dtype, op, *map(id, args))
        block: Block | None = self.block
        while block is not None:
            if key in block.known:
                return block.known[key]
            block = block.parent
        depth = 1 + max((arg.depth for arg in args), default=0)
        node = Node(dtype, op, args, self.block, depth)
        if depth > _DEEPEST:
            node.depth, node.shared = 0, True
        self.block.known[key] = node
        self.block.items.append(node)
        self.size += 1
        if self.size > _LONGEST:
            raise LongProgramError
        return node

    def array(self, cells: Sequence[Node]) -> Node:
        """A JavaScript array of these."""
        op = Op("[" + ",".join(["{}"] * len(cells)) + "]", CALL, (CHOICE,) * len(cells))
        return self.expression("array", op, *cells)

    def element(self, dtype: str, array: Node, index: Node) -> Node:
        """An element of a JavaScript array."""
        return self.expression(dtype, Op("{}[{}]", CALL, (CALL, CHOICE)), array, index)

    def enter(self) -> Block:
        """Opens a block within this one."""
        self.block = Block(self.block)
        return self.block

    def leave(self) -> None:
        """Goes on after the block that is open."""
        assert self.block.parent is not None
        self.block = self.block.parent


def _as_python(dtype: str, value: Any) -> Any:
    if dtype == "b1":
        return bool(value)
    return float(value) if dtype[0] == "f" else int(value)
