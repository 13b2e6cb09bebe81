"""Brings what versions.toml pins into the cache, through the machine's own package clients and their settings.

An installation is a folder that appears complete under its final name, so one that is there needs no network.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import machine
from .errors import Refused
from .machine import say
from .pins import Deb, Debian, Go, Maven, Pin, fingerprint, tool_version
from .places import locked

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>orderhub.backends</groupId><artifactId>{name}</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""
DEPENDENCY = (
    "<dependency><groupId>{0}</groupId><artifactId>{1}</artifactId><version>{2}</version>"
    "<type>{3}</type>{4}{5}</dependency>"
)
NOTHING_ELSE = (
    "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
)
ARCHIVES = (".zip", ".tar.gz")


def installed(pin: Pin, cache: Path) -> Path:
    """The folder with the server of `pin`, brought first where it is not there yet."""
    folder = cache / f"{pin.name}-{pin.version}-{fingerprint(pin)}"
    if folder.exists():
        return folder
    with locked(cache / f"{pin.name}.lock"):
        if not folder.exists():
            _install(pin, folder, cache)
    return folder


def _install(pin: Pin, folder: Path, cache: Path) -> None:
    begin = time.monotonic()
    say(f"installing {pin.name} {pin.version}")
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    match pin:
        case Maven():
            bring_maven(pin, fresh, cache)
        case Debian():
            bring_debian(pin, fresh)
        case Go():
            bring_go(pin, fresh, cache)
    fresh.rename(folder)
    say(f"installed {pin.name} {pin.version} in {time.monotonic() - begin:.0f} s")


def check_sum(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise Refused(
            f"{path.name} is not the file that is pinned: sha256 {expected} expected, {found} found"
        )


# --- Maven --------------------------------------------------------------------------------------------------------


def bring_maven(pin: Maven, folder: Path, cache: Path) -> None:
    (folder / "pom.xml").write_text(_pom(pin))
    machine.java()
    plugin = f"org.apache.maven.plugins:maven-dependency-plugin:{tool_version('maven-dependency-plugin')}"
    argv = [machine.need("mvn"), "-B", "-q", f"-Dmaven.repo.local={cache / 'maven'}", "-f", "pom.xml"]
    argv += [f"{plugin}:copy-dependencies", "-DoutputDirectory=files", "-DincludeScope=runtime"]
    with locked(cache / "maven.lock"):  # Maven's repository is not made for two at once
        machine.run(argv, what=f"bringing {pin.name} by Maven", cwd=folder)
    check_files(folder / "files", pin.sha256)
    for path in sorted((folder / "files").iterdir()):
        if path.name.endswith(ARCHIVES):
            unpack(path, folder)
            path.unlink()
    if pin.finish:
        program, *arguments = pin.finish
        java_home = str(Path(machine.java()).resolve().parent.parent)
        machine.run(
            [str(folder / program), *arguments],
            what=f"{program} of {pin.name}",
            cwd=folder,
            environment={"JAVA_HOME": java_home},
        )


def check_files(folder: Path, sha256: Mapping[str, str]) -> None:
    """Every pinned file with its checksum, and none besides."""
    found = {path.name for path in folder.iterdir()}
    if found != set(sha256):
        missing, unknown = sorted(set(sha256) - found), sorted(found - set(sha256))
        raise Refused(
            f"files that are pinned and did not come: {missing}; that came and are not pinned: {unknown}"
        )
    for name, expected in sha256.items():
        check_sum(folder / name, expected)


def _pom(pin: Maven) -> str:
    return POM.format(
        name=pin.name,
        dependencies="".join(_dependency(artifact, pin.transitive) for artifact in pin.artifacts),
    )


def _dependency(artifact: str, transitive: bool) -> str:
    """From `group:artifact:version[:type[:classifier]]`."""
    group, name, version, *rest = artifact.split(":")
    kind = rest[0] if rest else "jar"
    classifier = f"<classifier>{rest[1]}</classifier>" if len(rest) > 1 else ""
    return DEPENDENCY.format(group, name, version, kind, classifier, "" if transitive else NOTHING_ELSE)


def unpack(archive: Path, folder: Path) -> None:
    """Tells apart .zip and .tar.gz; refuses members that would land outside, keeps the modes of programs."""
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            for member in packed.infolist():
                path = Path(packed.extract(member, folder))
                mode = (member.external_attr >> 16) & 0o777
                if mode and path.is_file():
                    path.chmod(mode)
    else:
        with tarfile.open(archive) as packed_tar:
            packed_tar.extractall(folder, filter="data")


# --- Debian -------------------------------------------------------------------------------------------------------


def bring_debian(pin: Debian, folder: Path) -> None:
    """Unpacked, not installed: the machine gets no service, no user and no file outside the cache."""
    if not shutil.which("apt-get"):
        raise Refused(f"{pin.name} comes in packages of Debian, and there is no apt-get here")
    versions = choose(pin.packages, _offered(pin.packages))
    if "" in versions.values() and machine.may_install():
        _update_lists()
        versions = choose(pin.packages, _offered(pin.packages))
    for name in [name for name, version in versions.items() if not version]:
        raise Refused(
            f"apt offers {_offered([name]).get(name) or 'no version'} of {name}; pinned is"
            f" {pin.packages[name].version} of Debian 12 (apt-get update, as root, reads its lists again)"
        )
    _download(versions, folder)
    pinned_here = _architecture() == tool_version("debian-architecture")
    for name, version in versions.items():
        (archive,) = folder.glob(f"{name}_*.deb")
        deb = pin.packages[name]
        if version == deb.version and pinned_here:
            check_sum(archive, deb.sha256)
        else:
            say(
                f"{name} {version} instead of the pinned {deb.version}: checked against apt's signed lists alone"
            )
        machine.run(["dpkg", "-x", str(archive), str(folder)], what=f"unpacking {archive.name}")
        archive.unlink()


def choose(wanted: Mapping[str, Deb], offered: Mapping[str, list[str]]) -> dict[str, str]:
    """The pinned versions, or what took their place: Debian drops a package when it brings a security update of it.

    Of the same major version always; empty when there is none.
    """
    return {name: _chosen(deb, offered.get(name, [])) for name, deb in wanted.items()}


def _chosen(deb: Deb, offered: list[str]) -> str:
    if deb.version in offered:
        return deb.version
    return next((version for version in offered if _major(version) == _major(deb.version)), "")


def _major(version: str) -> str:
    """ "15" of 15.18-0+deb12u1, "7" of 5:7.0.15-1: without Debian's epoch."""
    return re.split(r"[.+~-]", version.rpartition(":")[2])[0]


def _offered(names: Iterable[str]) -> dict[str, list[str]]:
    """What apt's lists have, newest first."""
    shown = subprocess.run(["apt-cache", "madison", *names], capture_output=True, text=True, check=False)
    offered: dict[str, list[str]] = {}
    for line in shown.stdout.splitlines():
        name, version, source = (cell.strip() for cell in line.split("|"))
        if source.endswith("Packages"):
            offered.setdefault(name, []).append(version)
    return offered


def _update_lists() -> None:
    say("apt's lists are missing or too old: reading them again")
    machine.apt_get("update", "-q")


def _architecture() -> str:
    return machine.run(["dpkg", "--print-architecture"], what="dpkg").strip()


def _download(versions: Mapping[str, str], folder: Path) -> None:
    # As root apt would change to a user of its own, who may not enter a private folder.
    argv = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download"]
    argv += [f"{name}={version}" for name, version in versions.items()]
    try:
        machine.run(argv, what="apt-get download", cwd=folder)
    except Refused:
        if not machine.may_install():
            raise
        _update_lists()
        machine.run(argv, what="apt-get download", cwd=folder)


# --- Go -----------------------------------------------------------------------------------------------------------


def bring_go(pin: Go, folder: Path, cache: Path) -> None:
    """Built in a copy of the module: its own go.mod and go.sum, covered by the pinned sum, decide about the rest."""
    go = machine.need("go")
    places = {"GOPATH": str(cache / "go"), "GOMODCACHE": str(cache / "go" / "mod")}
    places |= {"GOCACHE": str(cache / "go" / "build"), "GOWORK": "off", "CGO_ENABLED": "0"}
    asked = [go, "mod", "download", "-json", "-modcacherw", f"{pin.module}@{pin.version}"]
    answer = json.loads(machine.run(asked, what=f"downloading {pin.module}", cwd=folder, environment=places))
    check_module(pin, answer["Sum"])
    source, program = folder / "source", folder / "bin" / pin.name
    shutil.copytree(answer["Dir"], source)
    flags = ["-mod=readonly", "-modcacherw", "-buildvcs=false", "-trimpath", "-ldflags=-s -w"]
    machine.run(
        [go, "build", *flags, "-o", str(program), pin.package],
        what=f"building {pin.module}",
        cwd=source,
        environment=places,
    )
    shutil.rmtree(source)


def check_module(pin: Go, found: str) -> None:
    if found != pin.sum:
        raise Refused(
            f"{pin.module}@{pin.version} is not the module that is pinned: {pin.sum} expected, {found} found"
        )
