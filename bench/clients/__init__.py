"""What the benches send requests with, and nothing that a client library would add to the cost."""
