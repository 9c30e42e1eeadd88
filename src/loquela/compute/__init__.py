"""Devices, precision, threads, memory plans: what the machine can do, found by looking and by probing."""
