"""`python -m gradientflow` is the command `gradientflow`."""

from gradientflow.experiments.signals import end_at_signals


def main() -> None:
    """The command: who ends it is heard before anything else is imported."""
    end_at_signals()
    from gradientflow.experiments.cli import main as command

    command()


if __name__ == "__main__":
    main()
