"""Timings of the library's steps against their peers, each a command."""
