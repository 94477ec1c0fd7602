"""`python -m gradientflow` is the command `gradientflow`."""

from gradientflow.experiments.cli import main

if __name__ == "__main__":
    main()
