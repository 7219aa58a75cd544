#!/usr/bin/env python3
"""Reads what zb prints about one test and prints it as one JSON line."""
import json
import re
import sys

text = sys.stdin.read()


def number(pattern):
    found = re.search(pattern, text)
    return float(found[1]) if found else None


def milliseconds(name):
    found = re.search(rf"^{name}: ((?:[0-9.]+(?:h|m(?!s)|s|ms|µs|ns))+)$", text, re.M)
    if not found:
        return None
    scale = {"h": 3.6e6, "m": 6e4, "s": 1e3, "ms": 1, "µs": 1e-3, "ns": 1e-6}
    parts = re.findall(r"([0-9.]+)(h|ms|m|s|µs|ns)", found[1])
    return round(sum(float(value) * scale[unit] for value, unit in parts), 2)


result = {
    "per_second": number(r"Requests per second:\s+([0-9.]+)"),
    "operations": number(r"Complete requests:\s+([0-9]+)"),
    "errors": number(r"Failed requests:\s+([0-9]+)"),
    "p50_ms": milliseconds("p50"),
    "p99_ms": milliseconds("p99"),
}
if result["per_second"] is None:
    result = {"failed": True, "first_error": text.strip().splitlines()[-1:] or ["no output"]}
print(json.dumps(result))
