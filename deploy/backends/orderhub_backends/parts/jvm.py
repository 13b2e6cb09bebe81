"""What the servers on the Java machine share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .. import machine

# Small and single-threaded where it may be: several of these share two cores with the product and its tests. The second
# compiler takes more in the minutes that they live than its code gives back: a quarter of the brokers' time under load.
FLAGS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF-8",
)
LOGGING = {
    "org.slf4j.simpleLogger.defaultLogLevel": "info",
    "org.slf4j.simpleLogger.showDateTime": "true",
    "org.slf4j.simpleLogger.dateTimeFormat": "yyyy-MM-dd'T'HH:mm:ss.SSS",
}


def java(files: Path, heap_megabytes: int, more: Mapping[str, str] | None = None) -> list[str]:
    """The beginning of a command line: what follows is the main class and its arguments."""
    said = {**LOGGING, **(more or {})}
    switches = [f"-D{name}={value}" for name, value in said.items()]
    return [machine.java(), f"-Xmx{heap_megabytes}m", *FLAGS, *switches, "-cp", f"{files}/*"]
