#!/usr/bin/env python3
"""What a built tercet consists of, as a CycloneDX 1.5 bill of materials (JSON, on stdout): Tercet
itself, the model embedded in it, and every library that the binary loads on this machine, with its
distribution's package, version and licences (Debian and Ubuntu: dpkg and /usr/share/doc).

usage: sbom.py [TERCET]     (default: build/tercet)
"""
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def output(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


def libraries(binary):
    """{soname: path} of all that the loader brings; the kernel's own has no path."""
    found = re.findall(r"^\s*(\S+) => (/\S+)|^\s*(/\S+) \(", output("ldd", binary), re.M)
    return {name or os.path.basename(loader): os.path.realpath(path or loader)
            for name, path, loader in found}


def named_by(binary):
    """What Tercet itself asks for; the rest is asked for by those."""
    return set(re.findall(r"NEEDED.*\[(.*)\]", output("readelf", "-dW", binary)))


def package_of(path):
    for name in (path, path.removeprefix("/usr")):  # a merged /usr is owned by either name
        done = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.split(":", 1)[0]
    return None


def version_of(package):
    return output("dpkg-query", "-W", "-f=${Version}\n", package).split("\n", 1)[0]


def licences_of(package):
    """As the package's copyright file names them, in Debian's machine-readable form."""
    try:
        with open(f"/usr/share/doc/{package}/copyright", encoding="utf-8", errors="replace") as file:
            names = re.findall(r"^License:[ \t]*(\S.*)$", file.read(), re.M)
    except OSError:
        names = []
    return sorted({name.strip() for name in names})


def licence_list(names):
    return [{"license": {"name": name}} for name in names]


def library_component(soname, path, direct):
    package = package_of(path)
    component = {"type": "library", "name": soname, "scope": "required", "properties": [
        {"name": "tercet:asked-for-by", "value": "tercet" if soname in direct else "a library"}]}
    if package:
        version = version_of(package)
        component.update(version=version, purl=f"pkg:deb/{package}@{version}")
        licences = licences_of(package)
        if licences:
            component["licenses"] = licence_list(licences)
        component["properties"].append({"name": "tercet:package", "value": package})
    return component


def llhttp_component():
    """Where the distribution has no package of it, tools/setup.sh builds it and it is linked in."""
    done = subprocess.run(["pkg-config", "--modversion", "libllhttp"], capture_output=True, text=True,
                          env={**os.environ, "PKG_CONFIG_PATH": f"{ROOT}/.cache/pkgconfig"})
    version = {"version": done.stdout.strip()} if done.returncode == 0 else {}
    return {"type": "library", "name": "llhttp", **version, "licenses": licence_list(["MIT"]),
            "scope": "required", "properties": [{"name": "tercet:asked-for-by", "value": "tercet"}]}


def project_version():
    with open(f"{ROOT}/meson.build", encoding="utf-8") as file:
        return re.search(r"version: '([^']+)'", file.read()).group(1)


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else f"{ROOT}/build/tercet"
    direct = named_by(binary)
    found = libraries(binary)
    components = [{"type": "machine-learning-model", "name": "bge-small-en-v1.5",
                   "licenses": licence_list(["MIT"])}]
    components += [library_component(name, path, direct) for name, path in sorted(found.items())]
    if not any("llhttp" in name for name in found):
        components.append(llhttp_component())
    print(json.dumps({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"component": {"type": "application", "name": "tercet",
                                   "version": project_version(),
                                   "licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": components}, indent=2))


main()
