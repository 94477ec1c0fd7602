"""Answers as tables on the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table


def _print_comparison(found: Any) -> None:
    _print_frame(found.table().drop(columns=["flow", "scheme", "t"]))


def _print_stability(found: Any) -> None:
    first = found.plain
    low, high = _bracket(first.curvatures.least), _bracket(first.curvatures.greatest)
    of = "" if first.held is None else " of P⁻¹H"
    print(f"curvatures{of} {low} to {high}: {first.curvatures.how}")
    if first.is_local:
        print(found.scope)
    _print_frame(found.table())


def _print_proofs(found: Any) -> None:
    for label, claims in found.claims().items():
        table = Table(
            box=None, pad_edge=False, title=label, title_justify="left", title_style="bold", show_header=False
        )
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_column(overflow="fold", style="dim")
        for claim in claims:
            sibling = f"its false sibling is {claim.sibling.grade}" if claim.sibling else ""
            table.add_row(claim.verdict, f"{claim.name}: {claim.counterexample or claim.reason}", sibling)
        _console().print(table)
        print()


def _bracket(bracket: Any) -> str:
    return f"{float(sum(bracket) / 2):.10g}"


PRINTERS = {"compare": _print_comparison, "stability": _print_stability, "verify": _print_proofs}


def _print_frame(shown: Any) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("method", no_wrap=True)
    for column in shown.columns:
        left = column in ("status", "formula", "verdict")
        table.add_column(column, justify="left" if left else "right", overflow="fold")
    for label, values in zip(shown.index, shown.to_numpy(), strict=True):
        table.add_row(str(label), *map(_cell, values))
    _console().print(table)


def _console() -> Console:
    """Standard output. A pipe has no width: lines are not to be broken for it."""
    console = Console()
    return Console(width=max(console.width, 160) if not console.is_terminal else None, markup=False)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if value != value else "∞" if value == float("inf") else f"{value:.4g}"
    return str(value)
