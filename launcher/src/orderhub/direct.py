"""HTTP without the proxies of the surroundings: what is asked is ours, the services use none either, and some of it is secret."""

from __future__ import annotations

import ssl
import urllib.request


def opener(context: ssl.SSLContext | None = None) -> urllib.request.OpenerDirector:
    """Blocks when it is used. Raises what urllib raises; an answer of 400 or more is a `urllib.error.HTTPError`."""
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
