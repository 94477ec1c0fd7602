"""Equations in plain text, as the package keeps them, as MathML."""

import html
import re

# Words are set upright; shorter ones are products, but for these.
_TOKEN = re.compile(
    r"(?P<text>[A-Za-z]{3,}|\b(?:at|of|by|in|is|to|or|on)\b)"
    r"|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<word>[A-Za-zα-ωΑ-Ω∂][̇̈′]*|[ẋẍẏÿżv̇])"
    r"|(?P<low>[₀-₉₊₋ₖₙᵢⱼ]+)"
    r"|(?P<high>[⁰¹²³⁴-⁹⁺⁻ⁿᵀ]+)"
    r"|(?P<space>\s+)|(?P<other>.)"
)
_LOW = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋ₖₙᵢⱼ", "0123456789+-knij")
_HIGH = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᵀ", "0123456789+-nT")

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def mathml(text: str) -> str:
    """An equation in a line of plain text as MathML; letters, numbers, signs, what is raised and what is lowered.

    Example:
        >>> mathml("x²")
        '<math><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math>'
    """
    text = (
        re.sub(r"(?:\^|\*\*)(\d)", lambda found: found[1].translate(_RAISED), text).replace("*", " ").replace("-", "−")
    )
    parts: list[str] = []
    for found in _TOKEN.finditer(text):
        kind, piece = found.lastgroup, found[0]
        if kind == "number":
            parts.append(f"<mn>{piece}</mn>")
        elif kind == "text":
            parts.append(f"<mtext>{piece}</mtext>")
        elif kind == "word":
            parts.append(f"<mi>{html.escape(piece)}</mi>")
        elif kind in ("low", "high") and parts:
            tag, table = ("msub", _LOW) if kind == "low" else ("msup", _HIGH)
            inner = piece.translate(table)
            leaf = "mn" if inner.isdigit() else "mi"
            parts.append(f"<{tag}>{parts.pop()}<{leaf}>{inner}</{leaf}></{tag}>")
        elif kind == "space":
            parts.append('<mspace width=".2em"></mspace>')
        else:
            fence = ' stretchy="false"' if piece in "()[]" else ""
            parts.append(f"<mo{fence}>{html.escape(piece)}</mo>")
    return f"<math><mrow>{''.join(parts)}</mrow></math>"
