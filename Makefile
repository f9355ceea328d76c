# SPDX-License-Identifier: Apache-2.0
# A thin face over meson: the README's two commands, and bench, fuzz and soak.
# Everything that builds is described in meson.build.

BUILD ?= build
PYTHON ?= /usr/bin/python3

.PHONY: all deps check demo bench fuzz soak tidy install clean

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD)

# Debian packages, only those that are missing.
deps:
	tools/install-packages

check: deps all
	tools/check

demo: deps all
	tools/demo

bench: all
	tools/install-packages bench
	bench/run $(BENCH)

# Ten minutes a target unless SECONDS_EACH says otherwise.
fuzz:
	tools/install-packages fuzz
	tools/fuzz

# Gigabytes through cut-through: half an hour.
soak: all
	$(PYTHON) -m pytest -c lab/pytest.ini lab/long

tidy: all
	run-clang-tidy -quiet -p $(BUILD) '/src/.*\.c$$'

install: all
	meson install -C $(BUILD)

clean:
	rm -rf $(BUILD) build-fuzz
