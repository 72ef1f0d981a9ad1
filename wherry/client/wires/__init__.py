"""Connections for requests that are answered whole: one after the other on each, and several kept open."""
