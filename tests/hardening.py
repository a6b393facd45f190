#!/usr/bin/env python3
"""The binary is built as docs/security.md says: position-independent, its tables read-only once it
is loaded, no stack to execute, guarded stack frames, checked string functions.

usage: hardening.py TERCET
"""
import os
import shutil
import subprocess
import sys

from served import SKIP, check

if not shutil.which("readelf"):
    print("readelf is missing (binutils, which gcc needs)")
    sys.exit(SKIP)


def readelf(*words):
    done = subprocess.run(["readelf", "-W", *words, sys.argv[1]], capture_output=True, text=True,
                          check=True, env={**os.environ, "LC_ALL": "C"})
    return done.stdout


segments = readelf("-l")
dynamic = readelf("-d")
symbols = readelf("--dyn-syms")
stack = [line for line in segments.splitlines() if "GNU_STACK" in line]
check("DYN (" in readelf("-h") and "PIE" in dynamic, "position-independent")
check("GNU_RELRO" in segments and "BIND_NOW" in dynamic, "its tables are read-only when it runs")
check(len(stack) == 1 and " RW " in stack[0] and "RWE" not in segments,
      "nothing that can be written can be executed")
check("__stack_chk_fail" in symbols, "stack frames are guarded")
check(any(f"__{name}_chk" in symbols for name in ("memcpy", "snprintf", "vsnprintf", "read")),
      "string functions are checked")
