#!/usr/bin/env bash
# go test with arguments, which fails as well where a test is skipped.
set -euo pipefail
${GO:-go} test -v "$@" | awk '
	/^ *=== / || /^ *--- PASS/ || /^PASS$/ {next}
	{print}
	/^ *--- SKIP/ {skipped = 1}
	END {if (skipped) {print "tests were skipped, want that all run"; exit 1}}'
