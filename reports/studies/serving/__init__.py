"""What a request costs: latency, load, growth."""
