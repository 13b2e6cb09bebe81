"""A relying party that is nothing of ours, in another language: coreos/go-oidc, built and run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from oidcc.op import Op
from oidcc.party import Party

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).parent / "relying_party_go"
SECONDS = 60
pytestmark = [pytest.mark.full, pytest.mark.xdist_group("go")]


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with the pinned versions and checksums alone; everything of Go's in a folder of our own."""
    go = subprocess.run(["sh", ROOT / "tools" / "go.sh"], capture_output=True, text=True, check=True)
    cache = Path(os.environ.get("ORDERHUB_BACKENDS_CACHE", ROOT / ".orderhub" / "backends" / "cache"))
    built = tmp_path_factory.mktemp("go") / "relying_party"
    places = {"GOPATH": f"{cache}/go", "GOMODCACHE": f"{cache}/go/mod", "GOCACHE": f"{cache}/go/build"}
    flags = {"GOFLAGS": "-mod=readonly -modcacherw", "GOWORK": "off", "CGO_ENABLED": "0"}
    environment = {**os.environ, **places, **flags}
    made = subprocess.run(
        [go.stdout.strip(), "build", "-o", built, "."],
        cwd=SOURCE, env=environment, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return built


def as_it_is(address: str) -> str:
    return address


def logs_in(program: Path, op: Op, party: Party, heard: Callable[[str], str] = as_it_is) -> Ended:
    """The program asks, Ada's browser goes where it says, and the program hears where the browser came out."""
    told = {
        "ISSUER": op.issuer,
        "CLIENT_ID": party.id,
        "CLIENT_SECRET": party.secret,
        "CALLBACK": party.callback,
    }
    pipe = subprocess.PIPE
    with subprocess.Popen([program], env=told, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as running:
        assert running.stdout is not None
        address = running.stdout.readline().strip()
        said = ""
        if address:
            browser = op.browser()
            page = op.ada.goes_on(browser, browser.get(address), op.issuer)
            assert page.redirect, page
            said = f"{heard(page.redirect)}\n"
        out, err = running.communicate(said, timeout=SECONDS)
    return Ended(running.returncode, out, err)


@pytest.mark.parametrize("kind", ["first", "post", "public"])
def test_a_program_in_go_logs_in_verifies_and_refreshes(op: Op, program: Path, kind: str) -> None:
    """With a secret in the header, with one in the body, and with none: code and PKCE, ID token, userinfo, refresh."""
    ended = logs_in(program, op, op.party(kind))
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found.pop("sub")
    assert found == {
        "email": op.ada.email,
        "email_verified": found["email_verified"],
        "name": "Ada",
        "refreshed": True,
        "same_subject": True,
    }


CHANGED = {
    "code": (lambda address: address.replace("code=", "code=x"), "exchange: oauth2"),
    "state": (lambda address: address.replace("state=", "state=x"), "state: "),
}


@pytest.mark.parametrize(("heard", "told"), CHANGED.values(), ids=CHANGED.keys())
def test_a_program_in_go_takes_no_answer_that_was_changed(
    op: Op, program: Path, heard: Callable[[str], str], told: str
) -> None:
    """So that its success means something."""
    ended = logs_in(program, op, op.party(), heard)
    assert (ended.code, ended.out.count("\n")) == (1, 0), ended
    assert told in ended.err, ended.err
