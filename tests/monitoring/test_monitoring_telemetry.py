"""Spans arrive at a real receiver of OTLP over HTTP; without one, nothing happens and nothing waits."""

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fastapi.testclient import TestClient

from loquela.jobs.settings import ServiceSettings
from loquela.monitoring.events import EventBus
from loquela.monitoring.telemetry.run_spans import RunSpans
from loquela.monitoring.telemetry.tracing import open_tracing
from loquela.service.app import build_app
from loquela.service.keys import Scope
from loquela.service.parts import make_parts

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@pytest.fixture
def received(monkeypatch):
    """The spans that came, by name, and where they go."""
    spans = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    yield spans
    server.shutdown()
    server.server_close()
    thread.join()


def attributes(span):
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_run_and_its_stages(received):
    bus = EventBus(run_id="run-1")
    bus.subscribe(RunSpans(open_tracing("run")))
    bus.publish("pipeline.started.v1", {})
    bus.publish("pipeline.stage_started.v1", {"stage": "tokenizer"})
    bus.publish("pipeline.stage_completed.v1", {"stage": "tokenizer"})
    bus.publish("pipeline.stage_started.v1", {"stage": "train"})
    bus.publish("trainer.metrics.progress.v1", {"loss": 1.0})
    bus.publish("pipeline.failed.v1", {"code": "NAN_LOSS", "message": "secret text", "phase": "model_training"})
    by_name = {span.name: span for span in received}
    assert set(by_name) == {"run", "stage tokenizer", "stage train"}
    run = by_name["run"]
    assert attributes(run) == {"loquela.run_id": "run-1", "loquela.code": "NAN_LOSS", "loquela.phase": "model_training"}
    assert by_name["stage train"].parent_span_id == run.span_id
    assert (run.status.code, by_name["stage train"].status.code, by_name["stage tokenizer"].status.code) == (2, 2, 1)


def test_a_request_continues_the_trace_of_whoever_asks(received, tmp_path):
    parts = make_parts(ServiceSettings(data=tmp_path / "data"))
    try:
        key, _ = parts.keys.create("t", [Scope.READ])
        asked = TestClient(
            build_app(parts), base_url="http://localhost", headers={"Authorization": f"Bearer {key.text}"}
        )
        trace = "0af7651916cd43dd8448eb211c80319c"
        asked.get("/runs/nothing", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01", "X-Request-Id": "r-7"})
    finally:
        parts.close()
    (span,) = received
    assert span.name == "GET /runs/{run_id}" and span.trace_id.hex() == trace
    told = attributes(span)
    assert (told["http.response.status_code"], told["loquela.request_id"], told["loquela.run_id"]) == (
        404,
        "r-7",
        "nothing",
    )


def test_nobody_asked(monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert open_tracing("run") is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert open_tracing("run") is None


def test_a_receiver_that_is_away_stops_nothing(monkeypatch, capsys):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    bus = EventBus(run_id="run-1")
    bus.subscribe(RunSpans(open_tracing("run")))
    began = time.monotonic()
    bus.publish("pipeline.started.v1", {})
    bus.publish("pipeline.completed.v1", {})
    assert time.monotonic() - began < 30
    assert capsys.readouterr().err == ""
