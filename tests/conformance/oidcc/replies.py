"""An answer of an endpoint that no browser is at, whichever library has asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str
    json: dict[str, Any]


def read(response: requests.Response) -> Reply:
    said = "json" in response.headers.get("content-type", "") and response.content
    return Reply(response.status_code, response.headers, response.text, response.json() if said else {})
