#!/usr/bin/env python3
"""The installed library, as another program meets it: headers, pkg-config file, exported names.

usage: installed.py BUILD_FOLDER EXAMPLE.c

Installs the build into a temporary folder, compiles the example against that alone, and runs it.
Exits 77 (skipped) where a compiler or pkg-config is missing.
"""
import os
import shutil
import subprocess
import sys
import tempfile

BUILD, EXAMPLE = sys.argv[1], sys.argv[2]
SKIPPED = 77


def check(condition, what):
    print(("ok    " if condition else "FAILED ") + what, flush=True)
    if not condition:
        sys.exit(1)


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        print(done.stdout + done.stderr)
    check(done.returncode == 0, os.path.basename(command[0]) + " " + " ".join(command[1:3]))
    return done.stdout


def find(folder, name):
    return next((where for where, _, files in os.walk(folder) if name in files), None)


def main():
    compiler = os.environ.get("CC", "cc")
    if not shutil.which(compiler.split()[0]) or not shutil.which("pkg-config"):
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory(prefix="tercet-installed-") as root:
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root)
        libraries, config = find(root, "libtercet.so"), find(root, "tercet.pc")
        check(libraries and config, "libtercet.so and tercet.pc are there")
        check(find(root, "tercet"), "so is the program")
        lines = run("nm", "-D", "--defined-only", libraries + "/libtercet.so").splitlines()
        exported = [line.split()[-1].split("@")[0] for line in lines]
        check(exported and all(name.startswith("tercet_") for name in exported),
              f"{len(exported)} names are exported, all tercet_...")
        environment = dict(os.environ, PKG_CONFIG_PATH=config, PKG_CONFIG_SYSROOT_DIR=root)
        flags = run("pkg-config", "--cflags", "--libs", "tercet", env=environment).split()
        program = os.path.join(root, "example")
        run(*compiler.split(), "-std=c17", "-Wall", "-Wextra", "-Werror", EXAMPLE, "-o", program, *flags,
            "-Wl,-rpath," + libraries)
        ranked = run(program).splitlines()
        scores = [float(line.split()[0]) for line in ranked]
        check(len(ranked) == 3 and "Bamboo" in ranked[0] and scores[0] > max(scores[1:]) + .05,
              "the example ranks the panda's bamboo first: " + "; ".join(ranked))


main()
