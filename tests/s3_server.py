"""A real S3 server on 127.0.0.1 with one bucket, that can go away and come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BUCKET = "shelf"
KEYS = {"access_key_id": "who", "secret_access_key": "unguessable"}


class S3Server:
    """Started when it is made; `stop` and `start` keep its address."""

    def __init__(self) -> None:
        self._port = 0
        self._kept: dict[str, bytes] = {}
        self.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, with what was in the bucket when it stopped: the library forgets it."""
        server = pytest.importorskip("moto.server").ThreadedMotoServer
        self._server = server(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()
        self._port = self._server.get_host_and_port()[1]
        client = self.client()
        client.create_bucket(Bucket=BUCKET)
        for key, data in self._kept.items():
            client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def stop(self) -> None:
        """Be gone."""
        client = self.client()
        found = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        self._kept = {each["Key"]: client.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in found}
        self._server.stop()

    def client(self):
        """Another client of it."""
        boto3 = pytest.importorskip("boto3")
        names = {"aws_access_key_id": KEYS["access_key_id"], "aws_secret_access_key": KEYS["secret_access_key"]}
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **names)

    def empty(self) -> None:
        """Remove every object."""
        client = self.client()
        for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            client.delete_object(Bucket=BUCKET, Key=found["Key"])

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Check signatures and rights, which nobody has."""
        responses = pytest.importorskip("moto.core.responses")
        before = responses.settings.INITIAL_NO_AUTH_ACTION_COUNT
        responses.ActionAuthenticatorMixin.request_count = 0
        responses.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
        try:
            yield
        finally:
            responses.settings.INITIAL_NO_AUTH_ACTION_COUNT = before
