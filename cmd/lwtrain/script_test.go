package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"lwtrain/hub/hubtest"
	"lwtrain/internal/llm/llmtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lwtrain": main})
}

// TestScripts runs the program as people do: see testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error { // no network, no cache of the user
			e.Setenv("HF_HOME", filepath.Join(e.WorkDir, "hf"))
			e.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
			e.Values[hubKey] = new(*hubtest.Hub)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "publish": publish, "asked": asked, "serve": serveJudge,
		},
	})
}

const hubKey = "hub"

// publish model|dataset OWNER/NAME DIR lets a hub have the files of a folder. The
// hub begins with the first of them.
func publish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: publish model|dataset OWNER/NAME DIR")
	}
	hub := ts.Value(hubKey).(**hubtest.Hub)
	if *hub == nil {
		*hub = hubtest.New()
		(*hub).Token = "hf_writes" // pushes alone want it
		ts.Defer((*hub).Close)
		ts.Setenv("HF_ENDPOINT", (*hub).URL)
	}
	repo := hubtest.Repo{}
	dir := ts.MkAbs(args[2])
	ts.Check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		repo[filepath.ToSlash(name)] = string(raw)
		return err
	}))
	repos := (*hub).Models
	if args[0] == "dataset" {
		repos = (*hub).Datasets
	}
	repos[args[1]] = repo
}

// asked REGEXP wants that the hub was asked for something since the last asked, and
// ! asked REGEXP that it was not; "asked" alone forgets what was.
func asked(ts *testscript.TestScript, neg bool, args []string) {
	hub := *ts.Value(hubKey).(**hubtest.Hub)
	lines := strings.Join(hub.Asked(), "\n")
	if len(args) == 0 {
		hub.Forget()
		return
	}
	found := regexp.MustCompile("(?m)" + args[0]).MatchString(lines)
	if found == neg {
		ts.Fatalf("the hub was asked for:\n%s", lines)
	}
}

// serveJudge (serve) starts a server that answers and rates, and wants the key sk-test. Its address
// is $SERVER.
func serveJudge(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: serve")
	}
	s := llmtest.New()
	ts.Defer(s.Close)
	s.Key, s.Text = "sk-test", llmtest.Judge
	ts.Setenv("SERVER", s.URL)
}

// exits N PROGRAM ARGS... runs a program and wants exit status N.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N PROGRAM [ARGS...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}
