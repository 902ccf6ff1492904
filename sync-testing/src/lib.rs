//! For apps, adapters and backends: conformance suites, a test server, a virtual clock.
