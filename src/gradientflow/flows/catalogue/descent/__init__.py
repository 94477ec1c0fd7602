"""Flows that go downhill: no inertia, no memory."""
