"""The main job, from the command line: a gradient flow beside its discretizations.

Once on the running example, a least-squares problem in the plane, and once on a real data set: logistic regression on
scikit-learn's breast cancer data. Prints the commands, their tables, and where the reports are.
"""

import pathlib
import shlex
import subprocess
import sys


def write_breast_cancer(file: pathlib.Path) -> None:
    """Scikit-learn's breast cancer data as a CSV file with the target `benign`."""
    from sklearn.datasets import load_breast_cancer

    frame = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "benign"})
    frame.to_csv(file, index=False)


def gradientflow(*arguments: str) -> None:
    """Shows a command and runs it."""
    print(f"\n$ gradientflow {shlex.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "gradientflow", *arguments], check=True)


def main() -> None:
    """Runs both comparisons into the directory that is given, `out/demo` otherwise."""
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo")
    out.mkdir(parents=True, exist_ok=True)
    gradientflow("compare", "--out", str(out / "running-example"))
    table = out / "breast_cancer.csv"
    write_breast_cancer(table)
    data = ["--data", str(table), "--target", "benign", "--model", "logistic", "--ridge", "0.001"]
    methods = ["gradient_descent:0.5", "gradient_descent:1.5", "backward_euler:2", "rk4:0.8", "momentum:0.2:0.8"]
    options = [word for method in methods for word in ("--method", method)]
    gradientflow("compare", *data, *options, "--t1", "200", "--out", str(out / "breast-cancer"))


if __name__ == "__main__":
    main()
