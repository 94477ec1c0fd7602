"""The options that commands share."""

from typing import Annotated

import typer

Out = Annotated[str, typer.Option("--out", help="Directory for the report, figures and data.", metavar="DIR")]
Json = Annotated[bool, typer.Option("--json", help="Print the table as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors (and --json).")]
Device = Annotated[str, typer.Option(help="cpu, gpu or tpu; JAX's own choice unless given.")]
EnergyOption = Annotated[
    str, typer.Option(help="A landscape's name, FILE.py:FUNCTION, or a formula such as '(1-x)^2 + 100*(y-x^2)^2'.")
]
Data = Annotated[str, typer.Option(help="A CSV file to fit a model to.", metavar="FILE.csv")]
Target = Annotated[str, typer.Option(help="The column to fit.", metavar="COLUMN")]
Model = Annotated[str, typer.Option(help="linear, ridge or logistic.")]
Ridge = Annotated[float, typer.Option(help="The penalty of ridge and logistic.")]
Start = Annotated[str, typer.Option("--x0", help="The start, comma-separated: 1,-2.", metavar="NUMBERS")]
Methods = Annotated[
    list[str] | None,
    typer.Option(help="NAME[:step[:parameter]]; may be repeated. `gradientflow list` shows the names."),
]
Time = Annotated[float | None, typer.Option("--t1", help="How long, on the flow's clock.")]
Separator = Annotated[str, typer.Option("--sep", help="What separates the data's cells.", metavar="CHARACTER")]
Decimal = Annotated[str, typer.Option(help="What separates a number's fraction in the data.", metavar=".|,")]
Precision = Annotated[str, typer.Option(help="float64 or float32.")]
AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="Run the Python file that it names, though that lies elsewhere.")
]
Dask = Annotated[str, typer.Option(help="Send it to Dask's workers, by their scheduler.", metavar="ADDRESS")]
Slurm = Annotated[
    str, typer.Option(help="Send it to Slurm as jobs, with submitit's parameters.", metavar="NAME=VALUE,…")
]
Training = Annotated[
    str,
    typer.Argument(
        help="FILE.py:FUNCTION, which answers (loss, params, optimizer, batches); or a log FILE.csv with columns step "
        "and loss, and lr, grad_norm, update_norm where there are.",
        metavar="FILE.py:FUNCTION|LOG.csv",
    ),
]
