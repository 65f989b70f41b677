"""How operators see a collector: metrics and health over HTTP (`server`), and structured logs (`logs`)."""
