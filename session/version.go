package session

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
)

// Version says which lwtrain this is, and what it was built with: the tag or the commit that
// was built, with +dirty where sources were changed since then; devel where a build knows
// neither.
func Version() string {
	v := "devel"
	if info, ok := debug.ReadBuildInfo(); ok {
		of := info.Main
		if at := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == "lwtrain" }); at >= 0 {
			of = *info.Deps[at] // in a program of somebody else
		}
		if of.Version != "" && of.Version != "(devel)" {
			v = of.Version
		}
	}
	return fmt.Sprintf("%s (%s, %s/%s)", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
