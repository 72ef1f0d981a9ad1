"""Request traces: what a request waited for, in the log where it took long, and for OpenTelemetry where it listens."""
