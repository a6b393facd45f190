#!/usr/bin/env python3
"""The bill of materials names every library that the binary loads.

usage: bill.py TERCET SBOM
"""
import json
import shutil
import subprocess
import sys

from served import SKIP, check, run

TERCET, SBOM = sys.argv[1:]
if not (shutil.which("dpkg-query") and shutil.which("ldd") and shutil.which("readelf")):
    print("no dpkg, ldd or readelf here")
    sys.exit(SKIP)
bill = json.loads(run(sys.executable, SBOM, TERCET))
parts = {part["name"]: part for part in bill["components"]}
loaded = {line.split()[0] for line in subprocess.run(
    ["ldd", TERCET], capture_output=True, text=True, check=True).stdout.splitlines() if "=>" in line}
check(bill["bomFormat"] == "CycloneDX" and bill["metadata"]["component"]["version"] in
      run(TERCET, "--version"), "it is of this version")
check(loaded and loaded <= set(parts), f"{len(loaded)} libraries are in it")
own = [part for part in parts.values()
       if {"name": "tercet:asked-for-by", "value": "tercet"} in part.get("properties", [])]
check(any(part["name"].startswith("liblmdb") and part["version"] and part["licenses"]
          for part in own), f"{len(own)} of them Tercet's own, with version and licence")
check("bge-small-en-v1.5" in parts, "and the model")
