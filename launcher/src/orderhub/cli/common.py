"""What the commands share: the options that all of them take, and types of some."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from orderhub.output import Output

Port = Annotated[int, Parameter(validator=Number(gte=1, lte=65535))]
Flag = Annotated[bool, Parameter(negative="")]
"""An option that is given or not; there is no `--no-…` of it."""
User = Annotated[str, Parameter(name=["--user", "--as"])]


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """What every command takes."""

    home: Annotated[
        Path | None, Parameter(help="The data folder (default: ORDERHUB_HOME, or .orderhub here).")
    ] = None
    json: Annotated[Flag, Parameter(help="Print JSON, one object per line.")] = False

    @property
    def out(self) -> Output:
        return Output(as_json=self.json)

    @property
    def place(self) -> Any:
        from orderhub import home

        return home.at(self.home)


COMMON = Common()
