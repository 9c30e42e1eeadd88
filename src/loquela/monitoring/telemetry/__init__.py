"""OpenTelemetry: spans of runs, their stages and requests, sent where OTEL_EXPORTER_OTLP_ENDPOINT says.

Nothing is sent without that variable, and nothing waits for the one who receives.
"""
