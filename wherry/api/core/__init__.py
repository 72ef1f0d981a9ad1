"""The core group, `/api/v1`: pods, nodes, services, and what they need."""
