"""The simulated sites of ``forbear demo``: many hosts on one loopback server, each with a different reservation.

The tests and benchmarks use the same server.
"""
