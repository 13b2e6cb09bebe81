"""Brings uv and makes ./.venv, on a machine with python3 alone: by pip, or where there is none by urllib.

Follows the machine's own index settings (pip's configuration and variables, uv's variables), writes messages to
stderr only, and is done at once when nothing changed. `tools/venv.sh` calls it; it uses the standard library only.
"""

from __future__ import annotations

import argparse
import base64
import configparser
import contextlib
import fcntl
import hashlib
import html.parser
import http.client
import importlib.util
import json
import netrc
import os
import platform
import re
import shutil
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".orderhub" / "tools"
VENV = ROOT / ".venv"
STAMP = VENV / "orderhub-stamp"
LOCK = ROOT / "uv.lock"
PIN = ROOT / "tools" / "uv-requirements.txt"


class Refused(Exception):
    """It cannot go on; the message is one line for the user."""


def say(text: str) -> None:
    print(f"orderhub: {text}", file=sys.stderr, flush=True)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--group", action="append", default=[], help="a dependency group to install as well")
    wanted = options.parse_args().group
    try:
        with one_at_a_time():
            prepare(set(wanted))
    except Refused as refusal:
        say(str(refusal))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    try:
        TOOLS.parent.mkdir(mode=0o700, exist_ok=True)
        TOOLS.mkdir(exist_ok=True)
        file = (TOOLS / "lock").open("w")
    except OSError as problem:
        raise Refused(f"cannot write to {TOOLS}: {problem.strerror}") from problem
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prepare(wanted: set[str]) -> None:
    groups = sorted(wanted | installed_groups())
    mark = f"{ROOT}\n{' '.join(groups)}\n{fingerprint()}\n"
    if STAMP.exists() and STAMP.read_text() == mark and (VENV / "bin" / "python").exists():
        os.utime(STAMP)
        return
    if sys.prefix == str(VENV):
        raise Refused("leave the virtual environment .venv first (deactivate): it is the one to be made anew")
    settings = machine_settings(os.environ)
    uv = bring_uv(settings)
    install(uv, groups, settings)
    STAMP.write_text(mark)


def installed_groups() -> set[str]:
    """Groups that an earlier call asked for stay: `make test` after `make bench` need not undo anything."""
    with contextlib.suppress(OSError, IndexError):
        return set(STAMP.read_text().splitlines()[1].split())
    return set()


def fingerprint() -> str:
    digest = hashlib.sha256(f"{sys.version} {platform.machine()} {sys.base_prefix}".encode())
    projects = [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
    for path in (LOCK, PIN, ROOT / "pyproject.toml", *sorted(projects)):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


# --- the machine's own settings ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """Where packages come from on this machine. `index` is empty when nobody set one."""

    index: str = ""
    extra_indexes: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    certificates: str = ""
    client_certificate: str = ""
    trusted_hosts: tuple[str, ...] = ()
    proxy: str = ""
    timeout: float = 30.0

    @property
    def main_index(self) -> str:
        return self.index or locked_index()

    @property
    def as_locked(self) -> bool:
        """True when packages come from where uv.lock has them from."""
        return not self.no_index and self.main_index.rstrip("/") == locked_index().rstrip("/")


def locked_index() -> str:
    """The index that uv.lock was made with: the last resort when the machine names none."""
    for package in tomllib.loads(LOCK.read_text())["package"]:
        registry = package["source"].get("registry")
        if registry:
            return str(registry)
    raise Refused("uv.lock names no index: set PIP_INDEX_URL")


def machine_settings(environment: Mapping[str, str]) -> Settings:
    """uv's variables first, then pip's, then pip's files."""
    pip = pip_settings(environment)

    def words(*names: str, option: str = "") -> tuple[str, ...]:
        found = next((environment[name] for name in names if environment.get(name)), pip.get(option, ""))
        return tuple(re.split(r"[\s,]+", found.strip())) if found.strip() else ()

    return Settings(
        index=environment.get("UV_DEFAULT_INDEX")
        or environment.get("UV_INDEX_URL")
        or pip.get("index-url", ""),
        extra_indexes=tuple(
            word.split("=", 1)[-1] if re.match(r"[\w-]+=", word) else word
            for word in words("UV_INDEX", "UV_EXTRA_INDEX_URL", option="extra-index-url")
        ),
        find_links=words("UV_FIND_LINKS", option="find-links"),
        no_index=pip.get("no-index", "").lower() in {"1", "true", "yes", "on"},
        certificates=environment.get("SSL_CERT_FILE") or pip.get("cert", ""),
        client_certificate=environment.get("SSL_CLIENT_CERT") or pip.get("client-cert", ""),
        trusted_hosts=words("UV_INSECURE_HOST", option="trusted-host"),
        proxy=pip.get("proxy", ""),
        timeout=float(
            environment.get("UV_HTTP_TIMEOUT") or pip.get("timeout") or pip.get("default-timeout") or 30
        ),
    )


def pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """What pip would read: its files from the machine's to the user's, then PIP_… variables."""
    found: dict[str, str] = {}
    for path in pip_files(environment):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path)
        except (configparser.Error, UnicodeDecodeError) as problem:
            raise Refused(
                f"pip's configuration {path} cannot be read: {str(problem).splitlines()[0]}"
            ) from problem
        for section in ("global", "install", "download"):
            if parser.has_section(section):
                found.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    for name, value in environment.items():
        if name.startswith("PIP_") and value:
            found[name[4:].lower().replace("_", "-")] = value
    return found


def pip_files(environment: Mapping[str, str]) -> list[Path]:
    """In the order in which pip reads them, the later ones winning."""
    own = environment.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return []
    home = Path(environment.get("HOME") or Path.home())
    shared = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    paths = [Path(folder) / "pip" / "pip.conf" for folder in shared.split(":")]
    paths += [Path("/etc/pip.conf"), home / ".pip" / "pip.conf"]
    if sys.platform == "darwin":
        paths.append(home / "Library" / "Application Support" / "pip" / "pip.conf")
    paths += [Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"]
    paths += [Path(sys.prefix) / "pip.conf"]
    return [*paths, Path(own)] if own else paths


# --- bringing uv ------------------------------------------------------------------------------------------------


def bring_uv(settings: Settings) -> Path:
    version, hashes = pinned()
    uv = TOOLS / f"uv-{version}" / "uv"
    if works(uv):
        return uv
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        wheel = wheel_by_pip(Path(folder), version, settings) or wheel_by_index(
            Path(folder), version, hashes, settings
        )
        check(wheel, hashes)
        unpack(wheel, uv)
    if not works(uv):
        raise Refused(f"uv {version} does not run on this machine ({sys.platform}, {platform.machine()})")
    return uv


def pinned() -> tuple[str, frozenset[str]]:
    text = PIN.read_text()
    version = re.search(r"^uv==(\S+)", text, re.MULTILINE)
    hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", text))
    if version is None or not hashes:
        raise Refused(f"{PIN} pins no uv")
    return version.group(1), hashes


def works(uv: Path) -> bool:
    try:
        return subprocess.run([uv, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def wheel_by_pip(folder: Path, version: str, settings: Settings) -> Path | None:
    """None when there is no pip, or when it fails; what it said is passed on then."""
    if importlib.util.find_spec("pip") is None:
        return None
    say(f"bringing uv {version} by pip")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "-r", str(PIN), "-d", str(folder)]
    environment = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0"}
    if settings.index:
        environment["PIP_INDEX_URL"] = settings.index
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("uv-*.whl"))
    if run.returncode == 0 and wheels:
        return wheels[0]
    last = (run.stderr.strip().splitlines() or ["it said nothing"])[-1]
    say(f"pip could not ({last}); trying without it")
    return None


class Offer(NamedTuple):
    filename: str
    address: str


def wheel_by_index(folder: Path, version: str, hashes: frozenset[str], settings: Settings) -> Path:
    say(f"bringing uv {version} from the package index")
    problems = []
    for source in sources(settings):
        try:
            for offer in offers(source, settings):
                if offer.filename.startswith(f"uv-{version}-") and runs_here(offer.filename):
                    target = folder / offer.filename
                    target.write_bytes(fetch(offer.address, settings))
                    if hashlib.sha256(target.read_bytes()).hexdigest() in hashes:
                        return target
                    problems.append(f"{offer.filename} there is not the one that is pinned")
        except (OSError, ValueError) as problem:
            problems.append(f"{without_password(source)}: {getattr(problem, 'reason', None) or problem}")
    detail = "; ".join(problems) or "no wheel for this machine there"
    raise Refused(f"uv {version} cannot be had ({detail}): see the index settings (PIP_INDEX_URL, pip.conf)")


def sources(settings: Settings) -> list[str]:
    """Places with a list of uv's files: folders, pages with links, an index's page of the project."""
    indexes = () if settings.no_index else (settings.main_index, *settings.extra_indexes)
    return [*settings.find_links, *(f"{index.rstrip('/')}/uv/" for index in indexes)]


def offers(source: str, settings: Settings) -> list[Offer]:
    local = Path(
        urllib.request.url2pathname(urllib.parse.urlsplit(source).path) if "://" in source else source
    )
    if source.startswith("file:") or "://" not in source:
        if local.is_dir() and not (local / "index.html").exists():
            return [Offer(path.name, path.resolve().as_uri()) for path in sorted(local.glob("uv-*.whl"))]
        source = (local / "index.html" if local.is_dir() else local).resolve().as_uri()
    body = fetch(source, settings, accept=SIMPLE_INDEX)
    if body.lstrip().startswith(b"{"):
        files = json.loads(body)["files"]
        return [Offer(file["filename"], urllib.parse.urljoin(source, file["url"])) for file in files]
    page = Links()
    page.feed(body.decode("utf-8", "replace"))
    addresses = [urllib.parse.urljoin(source, link).split("#")[0] for link in page.links]
    return [Offer(urllib.parse.unquote(address.rsplit("/", 1)[-1]), address) for address in addresses]


SIMPLE_INDEX = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)
"""The simple index of PEP 503, in the JSON form of PEP 691 where the index has it."""


class Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attributes if tag == "a" and name == "href" and value]


def fetch(address: str, settings: Settings, accept: str = "*/*") -> bytes:
    """Raises OSError after three tries; a refusal (4xx) is not tried again."""
    for pause in (0.5, 2.0):
        try:
            return fetch_once(address, settings, accept)
        except OSError as problem:
            if isinstance(problem, urllib.error.HTTPError) and problem.code < 500:
                raise
        time.sleep(pause)
    return fetch_once(address, settings, accept)


def fetch_once(address: str, settings: Settings, accept: str) -> bytes:
    opener = opener_for(address, settings)
    try:
        with opener.open(authorised(address, accept), timeout=settings.timeout) as response:
            return bytes(response.read())
    except http.client.HTTPException as problem:
        raise OSError(f"a broken answer: {problem!r}") from problem


def authorised(address: str, accept: str) -> urllib.request.Request:
    """Name and password of the address or of ~/.netrc become a header, and stay behind on a redirect."""
    parts = urllib.parse.urlsplit(address)
    name, password = urllib.parse.unquote(parts.username or ""), urllib.parse.unquote(parts.password or "")
    if not name and parts.hostname:
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            name, _, password = netrc.netrc().authenticators(parts.hostname) or ("", "", "")
    clean = urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(clean, headers={"Accept": accept, "User-Agent": "orderhub-bootstrap"})
    if name:
        token = base64.b64encode(f"{name}:{password}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def without_password(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)


def opener_for(address: str, settings: Settings) -> urllib.request.OpenerDirector:
    parts = urllib.parse.urlsplit(address)
    given = Path(settings.certificates) if settings.certificates else None
    context = ssl.create_default_context(
        cafile=str(given) if given and given.is_file() else None,
        capath=str(given) if given and given.is_dir() else None,
    )
    if settings.client_certificate:
        context.load_cert_chain(settings.client_certificate)
    if parts.hostname in settings.trusted_hosts or parts.netloc.rpartition("@")[2] in settings.trusted_hosts:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else None
    return urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler(proxies)
    )


def runs_here(filename: str) -> bool:
    """Whether a wheel's platform tags (PEP 425, 600, 656) fit this machine."""
    return filename.endswith(".whl") and any(
        tag_fits(tag) for tag in filename[:-4].rsplit("-", 1)[1].split(".")
    )


def tag_fits(tag: str) -> bool:
    found = re.fullmatch(r"(manylinux|musllinux|macosx)_(\d+)_(\d+)_(\w+)", tag)
    if not found:
        return False
    system, wanted, machine = found[1], (int(found[2]), int(found[3])), found[4]
    if system == "macosx":
        here = tuple(int(part) for part in (platform.mac_ver()[0] or "0.0").split(".")[:2])
        return sys.platform == "darwin" and machine in {platform.machine(), "universal2"} and wanted <= here
    glibc = glibc_version()
    right_library = wanted <= glibc if system == "manylinux" else glibc == (0, 0)
    return sys.platform == "linux" and machine == own_machine() and right_library


def glibc_version() -> tuple[int, int]:
    """(0, 0) where the C library is another one (musl)."""
    with contextlib.suppress(ValueError, OSError, AttributeError):
        found = re.search(r"(\d+)\.(\d+)", os.confstr("CS_GNU_LIBC_VERSION") or "")
        if found:
            return int(found[1]), int(found[2])
    return 0, 0


def own_machine() -> str:
    """The interpreter's architecture: a 32-bit one may run under a 64-bit kernel."""
    machine = platform.machine()
    if struct.calcsize("P") == 4:
        return {"x86_64": "i686", "aarch64": "armv7l"}.get(machine, machine)
    return machine


def check(wheel: Path, hashes: frozenset[str]) -> None:
    if hashlib.sha256(wheel.read_bytes()).hexdigest() not in hashes:
        raise Refused(f"{wheel.name} is not the file that {PIN.name} pins: its sha256 is another")


def unpack(wheel: Path, uv: Path) -> None:
    uv.parent.mkdir(exist_ok=True)
    fresh = uv.with_suffix(".new")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith("/scripts/uv")]
        if len(names) != 1:
            raise Refused(f"{wheel.name} holds no program uv")
        with archive.open(names[0]) as packed, fresh.open("wb") as file:
            shutil.copyfileobj(packed, file)
    fresh.chmod(0o755)
    fresh.replace(uv)


# --- making the environment -------------------------------------------------------------------------------------


def install(uv: Path, groups: list[str], settings: Settings) -> None:
    count = LOCK.read_text().count("\n[[package]]")
    say(f"installing up to {count} packages into .venv (only when something changed)")
    environment = uv_environment(os.environ, settings)
    chosen = [argument for group in groups for argument in ("--group", group)]
    if settings.as_locked:
        run_uv(uv, ["sync", "--frozen", "--all-packages", "--python", sys.executable, *chosen], environment)
    else:
        install_from_other_index(uv, chosen, settings, environment)


def install_from_other_index(
    uv: Path, chosen: list[str], settings: Settings, environment: Mapping[str, str]
) -> None:
    """`uv sync` would fetch the very addresses of uv.lock; here the same hashes come from the machine's index."""
    offline = ["--no-index"] if settings.no_index else []
    if not (VENV / "bin" / "python").exists():
        run_uv(uv, ["venv", "--clear", "--python", sys.executable, str(VENV)], environment)
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        listed = Path(folder) / "requirements.txt"
        shown = ["export", "--frozen", "--all-packages", "--no-emit-workspace", "-o", str(listed), *chosen]
        run_uv(uv, [*shown, "--quiet"], environment)
        run_uv(uv, ["pip", "sync", "--require-hashes", str(listed), *offline], environment)
    members = sorted(
        path.parent
        for path in (*ROOT.glob("*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml"))
        if "[build-system]" in path.read_text()
    )
    editable = [argument for member in members for argument in ("-e", str(member))]
    run_uv(uv, ["pip", "install", "--no-deps", *offline, *editable], environment)


def uv_environment(base: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """uv reads nothing of pip's: what pip would follow is said again in uv's words. Never a Python download."""
    ignored = {
        "VIRTUAL_ENV",
        "UV_PYTHON",
        "UV_PROJECT",
        "UV_WORKING_DIR",
        "UV_INDEX_URL",
        "UV_EXTRA_INDEX_URL",
    }
    environment = {name: value for name, value in base.items() if name not in ignored}
    said = {
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PROJECT_ENVIRONMENT": str(VENV),
        "UV_DEFAULT_INDEX": settings.index,
        "UV_INDEX": environment.get("UV_INDEX") or " ".join(settings.extra_indexes),
        "UV_FIND_LINKS": ",".join(settings.find_links),
        "UV_INSECURE_HOST": " ".join(settings.trusted_hosts),
        "UV_HTTP_TIMEOUT": str(int(settings.timeout)),
        "SSL_CLIENT_CERT": settings.client_certificate,
    }
    if Path(settings.certificates or "/").is_file():
        said["SSL_CERT_FILE"] = settings.certificates
    elif settings.certificates:
        said["SSL_CERT_DIR"] = settings.certificates
    else:
        said["UV_SYSTEM_CERTS"] = "true"  # as pip does
    if settings.proxy:
        said |= {"HTTP_PROXY": settings.proxy, "HTTPS_PROXY": settings.proxy}
    if not cache_is_writable(environment):
        said["UV_CACHE_DIR"] = str(TOOLS / "uv-cache")
    return {**environment, **{name: value for name, value in said.items() if value}}


def cache_is_writable(environment: Mapping[str, str]) -> bool:
    """uv keeps its cache under the home folder, which service accounts may not have."""
    if environment.get("UV_CACHE_DIR"):
        return True
    home = environment.get("XDG_CACHE_HOME") or environment.get("HOME") or ""
    return bool(home) and os.path.isdir(home) and os.access(home, os.W_OK)


def run_uv(uv: Path, arguments: list[str], environment: Mapping[str, str]) -> None:
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    run = subprocess.run(
        [uv, *arguments, *quiet], cwd=ROOT, env=environment, stdout=sys.stderr.fileno(), check=False
    )
    if run.returncode != 0:
        raise Refused(f"uv {arguments[0]} failed (above is why); a second try goes on where this one stopped")


if __name__ == "__main__":
    sys.exit(main())
