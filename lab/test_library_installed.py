# SPDX-License-Identifier: Apache-2.0
"""libwaylay as it is installed: names, versions, pkg-config, both libraries.

Installed below a directory of its own; what the library does is in
test_library.py.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import waylay
from test_library import BUILD

PROGRAM = """
#include <stdio.h>
#include <waylay.h>

int main(void)
{
	struct waylay_error e = WAYLAY_ERROR_INIT;

	waylay_intercept_free(waylay_intercept_new());
	printf("%s %d\\n", waylay_version(), waylay_listen_tcp(NULL, NULL, &e));
	return 0;
}
"""
SAID = "0.1.0 -22\n"  # EINVAL


def output_of(*command: object, **how) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **how)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def find(root: Path, name: str) -> Path:
    (file,) = root.rglob(name)
    return file


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    for program in ("meson", "cc", "nm", "pkg-config"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    root = tmp_path_factory.mktemp("installed")
    output_of("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root)
    return root


# --- names ---------------------------------------------------------------------


def declared() -> set[str]:
    header = (waylay.ROOT / "include/waylay.h").read_text()
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    return set(re.findall(r"\b(waylay_\w+)\(", code))


def test_a_program_sees_what_the_header_declares(installed):
    """With its version, and nothing of what the library is made of."""
    library = find(installed, "libwaylay.so.0")
    said = output_of("nm", "-D", "--defined-only", library)
    names = {line.split()[-1] for line in said.splitlines()}
    assert names - {"WAYLAY_0.1"} == {f"{name}@@WAYLAY_0.1" for name in declared()}


def test_the_static_library_shows_no_other_name(installed):
    library = find(installed, "libwaylay.a")
    said = output_of("nm", "--defined-only", "--extern-only", library)
    names = {line.split()[-1] for line in said.splitlines() if " " in line}
    assert names == declared()


# --- pkg-config ------------------------------------------------------------------


@pytest.fixture(params=["shared", "static"])
def compiled(request, installed, tmp_path) -> Path:
    """A program that knows nothing but what pkg-config says."""
    source, binary = tmp_path / "program.c", tmp_path / "program"
    source.write_text(PROGRAM)
    places = {
        "PKG_CONFIG_PATH": str(find(installed, "libwaylay.pc").parent),
        "PKG_CONFIG_SYSROOT_DIR": str(installed),
    }
    words = ["--static"] if request.param == "static" else []
    words += ["--cflags", "--libs", "libwaylay"]
    flags = output_of("pkg-config", *words, env=os.environ | places).split()
    if request.param == "static":
        flags = ["-l:libwaylay.a" if f == "-lwaylay" else f for f in flags]
    output_of("cc", "-Wall", "-Wextra", "-Werror", source, "-o", binary, *flags)
    return binary


def test_pkg_config_says_what_a_program_needs(installed, compiled):
    directory = find(installed, "libwaylay.so.0").parent
    where = os.environ | {"LD_LIBRARY_PATH": str(directory)}
    assert output_of(compiled, env=where) == SAID


# --- examples --------------------------------------------------------------------


def test_examples_have_at_most_80_lines():
    examples = list((waylay.ROOT / "examples").glob("*.c"))
    assert len(examples) >= 3
    for file in examples:
        assert file.read_text().count("\n") <= 80, file
