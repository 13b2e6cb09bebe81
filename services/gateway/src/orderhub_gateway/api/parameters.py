"""Query parameters that several lists share."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

Limit = Annotated[int, QueryParameter(ge=1, le=200, description="Items per page.")]
Cursor = Annotated[
    str | None, QueryParameter(max_length=1000, description="`next_cursor` of the page before.")
]
IdFilter = Annotated[UUID | None, QueryParameter()]
TextFilter = Annotated[str | None, QueryParameter(max_length=200)]
Flag = Annotated[bool, QueryParameter()]
FlagFilter = Annotated[bool | None, QueryParameter()]
