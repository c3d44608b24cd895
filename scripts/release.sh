#!/bin/sh
# Makes release archives in dist/: for each system a tar.gz with the program, the documents and the licences of all that is in it
# (scripts/licences), and SHA256SUMS of them. Nothing of the time, the user or the folder is in them (hence no build id, which has the
# flags of the linker in it): a commit gives the same bytes anywhere, with the same compilers.
#
#   linux-amd64    lwtrain with C kernels (AVX2, AVX-512), and lwtrain-static in plain Go, which runs on any Linux
#   linux-arm64    the same with NEON, where aarch64-linux-gnu-gcc is there (apt-get install gcc-aarch64-linux-gnu); else in plain Go alone
#   darwin-arm64   in plain Go
set -eu
cd "$(dirname "$0")/.."

go=${GO:-go}
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo devel)}
when=$(git log -1 --format=%cI 2>/dev/null || date -u +%FT%TZ)
rm -rf dist
mkdir -p dist/work

# libgomp is linked into the program: a folder with the archive alone comes before those of the system.
with_gomp() {
	mkdir -p "dist/work/gomp-$1"
	cp "$($2 -print-file-name=libgomp.a)" "dist/work/gomp-$1/"
	echo "'-L$PWD/dist/work/gomp-$1'" # quoted for Go, which cuts flags at spaces
}

build() { # FILE GOOS GOARCH CGO_ENABLED CC CGO_LDFLAGS
	printf 'release: %s for %s/%s, C %s\n' "$1" "$2" "$3" "$4" >&2
	env GOFLAGS=-trimpath GOOS="$2" GOARCH="$3" CGO_ENABLED="$4" CC="$5" CGO_LDFLAGS="$6" "$go" build -ldflags '-s -w -buildid= -B none' -o "$1" ./cmd/lwtrain
}

archive() { # NAME: what lies in dist/work/NAME
	dir=dist/work/$1
	cp README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md "$dir/"
	cp -r docs "$dir/docs"
	tar --sort=name --mtime="$when" --owner=0 --group=0 --numeric-owner -C dist/work -cf - "$1" | gzip -n -9 >"dist/$1.tar.gz"
}

name=lwtrain-$version-linux-amd64
mkdir -p "dist/work/$name"
build "dist/work/$name/lwtrain" linux amd64 1 "${CC:-gcc}" "$(with_gomp amd64 "${CC:-gcc}")"
build "dist/work/$name/lwtrain-static" linux amd64 0 "" ""
"$go" run ./scripts/licences linux/amd64 >"dist/work/$name/LICENSES.txt"
archive "$name"

name=lwtrain-$version-linux-arm64
mkdir -p "dist/work/$name"
cross=${CC_ARM64:-aarch64-linux-gnu-gcc}
if command -v "$cross" >/dev/null 2>&1; then
	build "dist/work/$name/lwtrain" linux arm64 1 "$cross" "$(with_gomp arm64 "$cross")"
else
	echo "release: no $cross: the program for linux/arm64 is plain Go" >&2
fi
build "dist/work/$name/lwtrain-static" linux arm64 0 "" ""
[ -f "dist/work/$name/lwtrain" ] || mv "dist/work/$name/lwtrain-static" "dist/work/$name/lwtrain"
"$go" run ./scripts/licences linux/arm64 >"dist/work/$name/LICENSES.txt"
archive "$name"

name=lwtrain-$version-darwin-arm64
mkdir -p "dist/work/$name"
build "dist/work/$name/lwtrain" darwin arm64 0 "" ""
"$go" run ./scripts/licences darwin/arm64 >"dist/work/$name/LICENSES.txt"
archive "$name"

rm -rf dist/work
(cd dist && sha256sum -- *.tar.gz >SHA256SUMS && ls -l)
