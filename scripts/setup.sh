#!/bin/sh
# Installs what lwtrain needs and this machine lacks, from the system's packages:
# a C compiler and (on Linux) oneDNN, and with the argument pip also pip. Without
# the first two lwtrain still builds and gives the same results, only slower, so a
# failure here is a note and not an error. With the argument go it only looks for Go.
set -u
PATH=$PATH:/usr/sbin:/sbin # ldconfig lies there, and not every user looks there

say() { printf 'setup: %s\n' "$*" >&2; }

if ! command -v "${GO:-go}" >/dev/null 2>&1; then
	say "there is no command ${GO:-go}, want Go $(sed -n 's/^go //p' "$(dirname "$0")/../go.mod") or later"
	say "hint: https://go.dev/doc/install says how to get it; package managers have it, too: brew install go"
	exit 1
fi
[ "${1:-}" != go ] || exit 0

# has_onednn looks where the program does: among the system's libraries, and in LD_LIBRARY_PATH.
has_onednn() {
	[ "$(uname)" = Linux ] || return 0 # it is not looked for elsewhere
	ldconfig -p 2>/dev/null | grep -q 'libdnnl\.so' && return 0
	for dir in $(echo "${LD_LIBRARY_PATH:-}" | tr : ' ') /usr/lib /usr/lib64 /usr/local/lib; do
		for file in "$dir"/libdnnl.so*; do
			[ -e "$file" ] && return 0
		done
	done
	return 1
}

missing=
command -v "${CC:-gcc}" >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
has_onednn || missing="$missing libdnnl-dev"
[ "${1:-}" != pip ] || python3 -m pip --version >/dev/null 2>&1 || missing="$missing python3-pip"
[ -z "$missing" ] && exit 0
if [ "$(uname)" = Darwin ]; then
	say "not there:$missing; going on without"
	say "hint: xcode-select --install brings a C compiler, and python3 with pip"
	exit 0
fi

as_root=
if [ "$(id -u)" != 0 ]; then
	as_root="sudo -n"
	$as_root true 2>/dev/null || as_root=no
fi
if [ "$as_root" = no ] || ! command -v apt-get >/dev/null 2>&1; then
	say "not installed:$missing; going on without"
	say "hint: as root: apt-get install$missing"
	exit 0
fi
say "installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if $as_root apt-get update -qq >"$log" 2>&1 && $as_root apt-get install -y -qq --no-install-recommends $missing >>"$log" 2>&1; then
	rm -f "$log"
else
	say "could not install:$missing; going on without. apt-get said:"
	tail -n 3 "$log" >&2
	rm -f "$log"
fi
exit 0
