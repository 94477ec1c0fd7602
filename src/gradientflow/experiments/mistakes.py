"""A mistake on the command line is answered by one line."""

import sys
from typing import Any, NoReturn

from typer.core import TyperGroup


class OneLine(TyperGroup):
    """Answers a mistake in the options themselves by one line too."""

    def main(self, args: Any = None, standalone_mode: bool = True, **extra: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Runs the command and ends the process; without arguments it is the help."""
        given = sys.argv[1:] if args is None else list(args)
        try:
            code = super().main(given or ["--help"], standalone_mode=False, **extra)
        except Exception as error:
            message = getattr(error, "format_message", None)
            if message is None:
                raise
            told = message()
            unknown = told.startswith("No such command") and "Did you mean" not in told
            fail(f"{told} There are: {', '.join(self.commands)}." if unknown else told)
        raise SystemExit(code if isinstance(code, int) else 0)


class bad_input_is_one_line:
    """Bad input ends the command with one line on standard error and exit status 2."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (ValueError, TypeError)):
            fail(str(error))


def fail(message: str) -> NoReturn:
    """Ends the process with one line on standard error and exit status 2."""
    print(f"gradientflow: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(2)
