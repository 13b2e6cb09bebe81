"""Deletes and regenerates the Python code of contracts/proto; with --check only compares.

The generated imports are rewritten from `orderhub.` to `orderhub_contracts.`, so that they cannot
collide with the `orderhub` command's own package.
"""

from __future__ import annotations

import argparse
import filecmp
import re
import shutil
import sys
import tempfile
from pathlib import Path

from google.protobuf import __file__ as _protobuf_file
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "contracts" / "proto"
TARGET = ROOT / "contracts" / "src" / "orderhub_contracts"
IMPORT = re.compile(r"^(from|import) orderhub\.", re.MULTILINE)


def generate(target: Path) -> None:
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        arguments = ["protoc", f"-I{PROTO}", f"-I{Path(_protobuf_file).parent.parent.parent}"]
        arguments += [f"--python_out={scratch}", f"--pyi_out={scratch}", f"--grpc_python_out={scratch}"]
        if protoc.main(arguments + sources) != 0:
            sys.exit("protoc failed")
        for source in sorted(Path(scratch, "orderhub").rglob("*_pb2*.py*")):
            if source.name.endswith("_pb2_grpc.py") and "class " not in source.read_text():
                continue
            destination = target / source.relative_to(Path(scratch, "orderhub"))
            destination.parent.mkdir(parents=True, exist_ok=True)
            destination.write_text(IMPORT.sub(r"\1 orderhub_contracts.", source.read_text()))
            (destination.parent / "__init__.py").write_text("")
            (destination.parent.parent / "__init__.py").write_text("")


def generated_folders(target: Path) -> list[Path]:
    return sorted(path for path in target.glob("*/v1") if path.is_dir())


def drift(fresh: Path, committed: Path) -> list[str]:
    names = {
        p.relative_to(base)
        for base in (fresh, committed)
        for f in generated_folders(base)
        for p in f.glob("*.py*")
    }
    return [
        str(name)
        for name in sorted(names)
        if not (fresh / name).exists()
        or not (committed / name).exists()
        or not filecmp.cmp(fresh / name, committed / name, shallow=False)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the committed code differs")
    if not parser.parse_args().check:
        for folder in generated_folders(TARGET):
            shutil.rmtree(folder)
        generate(TARGET)
        return
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        different = drift(Path(scratch), TARGET)
    if different:
        sys.exit("generated code differs from the protos, run `make proto`: " + ", ".join(different))


if __name__ == "__main__":
    main()
