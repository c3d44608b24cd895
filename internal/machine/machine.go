// Package machine finds out what the computer has: its processor, its memory
// with the limits that a control group sets, and the disk under a folder. What
// it cannot find out is left zero.
package machine

import (
	"bufio"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"
)

// Processor is what computes.
type Processor struct {
	Model    string   `json:"model"`
	Arch     string   `json:"arch"`
	Threads  int      `json:"threads"`         // that this process may use
	Cores    int      `json:"cores"`           // with more threads than cores, two share one
	Features []string `json:"features"`        // instruction sets that the kernels or oneDNN make use of
	Hyper    bool     `json:"hyperthreading"`  // cores run two threads each
	Quota    float64  `json:"quota,omitempty"` // processors that a control group allows; 0: no limit
}

// ReadProcessor describes the processor.
func ReadProcessor() Processor {
	return readProcessor(os.DirFS("/"), runtime.NumCPU())
}

func readProcessor(root fs.FS, threads int) Processor {
	p := Processor{Arch: runtime.GOARCH, Threads: threads, Cores: threads}
	var siblings, cores int64
	scan(root, "proc/cpuinfo", ":", func(key, value string) {
		switch key {
		case "model name", "Model", "cpu model":
			p.Model = value
		case "siblings":
			siblings, _ = strconv.ParseInt(value, 10, 32)
		case "cpu cores":
			cores, _ = strconv.ParseInt(value, 10, 32)
		}
	})
	if p.Hyper = cores > 0 && siblings >= 2*cores; p.Hyper {
		p.Cores = max(1, threads/2)
	}
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"avx2", cpu.X86.HasAVX2}, {"fma", cpu.X86.HasFMA}, {"avx512", cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW},
		{"avx512-bf16", cpu.X86.HasAVX512BF16}, {"avx512-vnni", cpu.X86.HasAVX512VNNI}, {"amx-bf16", cpu.X86.HasAMXBF16},
		{"asimd", cpu.ARM64.HasASIMD}, {"sve", cpu.ARM64.HasSVE},
	} {
		if f.has {
			p.Features = append(p.Features, f.name)
		}
	}
	for _, dir := range groups(root, "cpu") {
		quota, period, _ := strings.Cut(text(root, dir+"/cpu.max"), " ")
		if quota == "" {
			quota, period = text(root, dir+"/cpu.cfs_quota_us"), text(root, dir+"/cpu.cfs_period_us")
		}
		q, err1 := strconv.ParseFloat(quota, 64)
		t, err2 := strconv.ParseFloat(period, 64)
		if err1 == nil && err2 == nil && q > 0 && t > 0 && (p.Quota == 0 || q/t < p.Quota) {
			p.Quota = q / t
		}
	}
	return p
}

// Memory is in bytes.
type Memory struct {
	Total     int64 `json:"total"`
	Free      int64 `json:"free"` // without swapping, caches given back
	SwapTotal int64 `json:"swap_total"`
	SwapFree  int64 `json:"swap_free"`
	Limit     int64 `json:"limit,omitempty"`      // of the control group that has the least left; 0: none
	LimitFree int64 `json:"limit_free,omitempty"` // what it has left
}

// ReadMemory describes the memory as it is now.
func ReadMemory() Memory { return readMemory(os.DirFS("/")) }

func readMemory(root fs.FS) Memory {
	var m Memory
	scan(root, "proc/meminfo", ":", func(key, value string) {
		n, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 52)
		if err != nil {
			return
		}
		switch key {
		case "MemTotal":
			m.Total = n << 10
		case "MemAvailable":
			m.Free = n << 10
		case "SwapTotal":
			m.SwapTotal = n << 10
		case "SwapFree":
			m.SwapFree = n << 10
		}
	})
	for _, dir := range groups(root, "memory") {
		limit, ok := number(root, dir+"/memory.max")
		used, _ := number(root, dir+"/memory.current")
		cache := "inactive_file"
		if !ok {
			limit, ok = number(root, dir+"/memory.limit_in_bytes")
			used, _ = number(root, dir+"/memory.usage_in_bytes")
			cache = "total_inactive_file"
		}
		if !ok || limit <= 0 || m.Total > 0 && limit >= m.Total {
			continue // version 1 writes no limit as a very large number
		}
		// Pages of files are given back when they are needed.
		scan(root, dir+"/memory.stat", " ", func(key, value string) {
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && key == cache {
				used = max(0, used-n)
			}
		})
		if left := max(0, limit-used); m.Limit == 0 || left < m.LimitFree {
			m.Limit, m.LimitFree = limit, left
		}
	}
	return m
}

// Available is what a process can take without swapping; a very large number
// where that cannot be found out.
func (m Memory) Available() int64 {
	free := int64(1) << 50
	if m.Total > 0 {
		free = m.Free
	}
	if m.Limit > 0 {
		free = min(free, m.LimitFree)
	}
	return free
}

// groups lists the folders of the control groups that this process is in, the
// innermost first, for version 2 and for a controller of version 1. In a
// container the path that the kernel tells may not be there; those above are.
func groups(root fs.FS, controller string) []string {
	var out []string
	scan(root, "proc/self/cgroup", ":", func(_, rest string) {
		controllers, where, _ := strings.Cut(rest, ":")
		base := "sys/fs/cgroup"
		switch {
		case controllers == "":
		case slices.Contains(strings.Split(controllers, ","), controller):
			base += "/" + controller
		default:
			return
		}
		for at := path.Clean("/" + where); ; at = path.Dir(at) {
			out = append(out, strings.TrimSuffix(base+at, "/"))
			if at == "/" {
				return
			}
		}
	})
	return out
}

func text(root fs.FS, name string) string {
	f, err := root.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 4096))
	return strings.TrimSpace(string(b))
}

func number(root fs.FS, name string) (int64, bool) {
	n, err := strconv.ParseInt(text(root, name), 10, 64)
	return n, err == nil
}

// scan reads the lines "key<separator>value" of a file of the kernel's.
func scan(root fs.FS, name, separator string, each func(key, value string)) {
	f, err := root.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), separator); ok {
			each(strings.TrimSpace(key), strings.TrimSpace(value))
		}
	}
}

// Existing is dir, or the nearest folder above it that is there.
func Existing(dir string) string {
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
	}
}
