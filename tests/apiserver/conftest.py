"""`api`: a fresh API server for each test."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.apiserver.local_api import Api, running_api


@pytest_asyncio.fixture
async def api() -> AsyncIterator[Api]:
    async with running_api() as running:
        yield running
