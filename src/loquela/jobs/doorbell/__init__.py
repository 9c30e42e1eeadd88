"""Bells: somebody should look at the queue. A bell that is lost costs time, never a job."""
