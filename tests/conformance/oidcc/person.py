"""Somebody with a browser, who logs in and allows whatever is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from oidcc.browser import Browser, Page

MOST_STEPS: Final = 12


@dataclass(frozen=True)
class Person:
    email: str
    password: str

    def goes_on(self, browser: Browser, page: Page, issuer: str, *, consent: str = "allow") -> Page:
        """Until the provider sends the browser elsewhere, or shows a page that asks for nothing more, or refuses a login.

        `consent` is the answer to the page of that name.
        """
        for _ in range(MOST_STEPS):
            if target := page.redirect:
                if not target.startswith(f"{issuer}/"):
                    return page
                page = browser.get(target)
            elif page.kind == "login" and page.status == 200:
                page = self.logs_in(browser, page)
            elif page.kind == "consent":
                page = browser.submit(page, page.asks("consent"), decision=consent)
            elif page.kind == "logout":
                page = browser.submit(page, page.asks("logout"), decision="logout")
            else:
                return page
        raise AssertionError(f"after {MOST_STEPS} steps still here: {page!r}")

    def logs_in(self, browser: Browser, page: Page) -> Page:
        return browser.submit(page, page.asks("login"), email=self.email, password=self.password)
