"""Tests of the benchmark's own arithmetic and of what it does to processes and files; run with unittest."""
