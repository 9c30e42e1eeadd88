"""Options of JSON interfaces over HTTP: `api+https://…`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from loquela.core.model import BoundaryModel


class ApiOptions(BoundaryModel):
    """How pages follow each other and where in a page the texts are."""

    items: str = Field(
        "", pattern=r"^(/.*)?$", description="JSON pointer to the list of items in a page; empty: the page is the list"
    )
    pagination: Literal["none", "link", "cursor", "page", "offset"] = Field(
        "link", description="link: the header Link with rel=next; cursor: a value in the page; page, offset: counted"
    )
    cursor: str = Field("/next", pattern=r"^/.*$", description="JSON pointer to the next cursor, or next address")
    cursor_parameter: str = Field("cursor", min_length=1, description="query parameter that takes the cursor")
    page_parameter: str = Field("page", min_length=1, description="query parameter that takes the page's number")
    first_page: int = Field(1, ge=0, description="number of the first page")
    offset_parameter: str = Field("offset", min_length=1, description="query parameter that takes the count of items")
    size_parameter: str | None = Field(None, min_length=1, description="query parameter that takes page_size")
    page_size: int = Field(100, ge=1, le=100_000, description="items asked for at once, with size_parameter")
    parameters: dict[str, str] = Field({}, description="further query parameters; a secret goes into a credential")
    requests_per_second: float = Field(2.0, gt=0, le=1000, description="the interface is asked no faster")
    max_requests: int = Field(1000, ge=1, le=1_000_000, description="more pages than this stop the run")
    max_records: int | None = Field(None, ge=1, description="take the first so many items; null: all")

    @model_validator(mode="after")
    def _size_is_sent_where_it_is_counted(self) -> Self:
        if "page_size" in self.model_fields_set and self.size_parameter is None:
            raise ValueError("page_size is sent only with size_parameter; name that query parameter too")
        return self
