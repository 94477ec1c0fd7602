"""`python -m gradientflow` is the command `gradientflow`."""

from gradientflow.cli import main

if __name__ == "__main__":
    main()
