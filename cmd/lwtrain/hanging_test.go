package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lwtrain/internal/llm/llmtest"
)

const secret = "sk-0123456789abcdef"

// hangings are servers that come to no end, by what they do with a connection until it is
// closed. What they read first, if anything, is a request.
var hangings = map[string]func(c net.Conn){
	"it accepts and says nothing":                   func(net.Conn) {},
	"it sends the head of a reply and then nothing": func(c net.Conn) { fmt.Fprint(c, replyHead) },
	"it sends a byte of a reply now and then": func(c net.Conn) {
		for _, err := fmt.Fprint(c, replyHead); err == nil; _, err = c.Write([]byte(" ")) {
			time.Sleep(20 * time.Millisecond)
		}
	},
	"it sends a byte of a head now and then": func(c net.Conn) {
		for _, err := fmt.Fprint(c, "HTTP/1.1 200 OK\r\nX-Head: "); err == nil; _, err = c.Write([]byte("x")) {
			time.Sleep(20 * time.Millisecond)
		}
	},
	"it says that it is at work, again and again": func(c net.Conn) {
		for err := error(nil); err == nil; _, err = fmt.Fprint(c, "HTTP/1.1 102 Processing\r\n\r\n") {
			time.Sleep(20 * time.Millisecond)
		}
	},
	leftAlone: func(c net.Conn) {
		fmt.Fprint(c, "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 10000000000\r\nContent-Length: 2\r\n\r\n{}")
	},
}

const (
	leftAlone = "it wants to be left alone for centuries"
	replyHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
)

// hang starts a server, and returns its address.
func hang(t *testing.T, do func(net.Conn)) (url string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		do(c)
		io.Copy(io.Discard, c)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// asking is a command that asks a server, in a folder of its own.
func asking(t *testing.T, url string, args ...string) (cmd *exec.Cmd, said *strings.Builder) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"q.jsonl": `{"prompt": "Write 30 words on rain."}` + "\n", "pairs.yaml": fmt.Sprintf(servedConfig, url+"/v1"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd, said = exec.Command("lwtrain", args...), &strings.Builder{}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, said, said
	cmd.Env = append(os.Environ(), "OPENAI_API_KEY="+secret, "HF_TOKEN="+secret, "HF_ENDPOINT="+url, "HF_HOME="+filepath.Join(dir, "hf"))
	return cmd, said
}

// TestAnEvaluationWithoutAnyAnswerIsNoSuccess: what a server refuses is counted, and the exit status says that there is nothing.
func TestAnEvaluationWithoutAnyAnswerIsNoSuccess(t *testing.T) {
	url := hang(t, func(c net.Conn) {
		const reply = `{"choices":[{"message":{"content":null,"refusal":"I will not"},"finish_reason":"stop"}]}`
		const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "
		fmt.Fprintf(c, "%s%d\r\n\r\n%s", head, len(reply), reply)
	})
	cmd, said := asking(t, url, "eval", "-c", "pairs.yaml", "eval.tasks=q.jsonl", "eval.server.url="+url+"/v1", "eval.server.model=m",
		"output.dir=refused")
	err := cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != exitIncomplete ||
		!strings.Contains(said.String(), "q: none of 1 prompt has an answer (refused 1)") {
		t.Errorf("%v, exit status %d, want %d, of\n%s", err, code, exitIncomplete, said)
	}
	alone := exec.Command("lwtrain", "eval", "generate", "refused")
	alone.Dir, alone.Env = cmd.Dir, cmd.Env
	text, err := alone.CombinedOutput()
	if code := alone.ProcessState.ExitCode(); code != exitIncomplete ||
		!strings.Contains(string(text), "\n0 of 1 answer\nno answers: refused 1; the same command asks again\n") {
		t.Errorf("answers alone: %v, exit status %d, want %d, of\n%s", err, code, exitIncomplete, text)
	}
}

// TestCtrlCEndsWhatAServerLeavesHanging: what a server does not end, the user does.
func TestCtrlCEndsWhatAServerLeavesHanging(t *testing.T) {
	for _, args := range [][]string{{"pairs", "-c", "pairs.yaml"}, {"pull", "owner/name"}} {
		for name, do := range hangings {
			t.Run(args[0]+": "+name, func(t *testing.T) {
				t.Parallel()
				begun := make(chan bool, 100)
				url := hang(t, func(c net.Conn) {
					begun <- true
					do(c)
				})
				cmd, said := asking(t, url, args...)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				<-begun
				cmd.Process.Signal(syscall.SIGINT)
				cmd.Wait()
				if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(said.String(), "lwtrain: stopped: ") {
					t.Errorf("exit status %d, want %d, of\n%s", code, exitInterrupted, said)
				}
			})
		}
	}
}

// TestWhatAServerLeavesHangingEndsByItself, with the reason and without the key.
func TestWhatAServerLeavesHangingEndsByItself(t *testing.T) {
	pairs := []string{"pairs", "-c", "pairs.yaml", "pairs.server.timeout=1", "pairs.server.retries=0"}
	pull := []string{"pull", "owner/name"}
	otherProtocol := func(c net.Conn) {
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	}
	echo := func(c net.Conn) {
		body := fmt.Sprintf(`{"error": "who is %s?"}`, secret)
		fmt.Fprintf(c, "HTTP/1.1 403 Forbidden\r\nX-Error-Message: %s\r\nContent-Length: %d\r\n\r\n%s", secret, len(body), body)
	}
	type trial struct {
		name string
		args []string
		do   func(net.Conn)
		want string
	}
	trials := []trial{
		{"pairs: it begins another protocol", pairs, otherProtocol, "status 101: the server begins another protocol"},
		{"pull: it begins another protocol", pull, otherProtocol, "127.0.0.1:PORT: status 101: the server begins another protocol"},
		{"pairs: it repeats the key", pairs, echo, `status 403: {"error": "who is [key]?"}`},
		{"pull: it repeats the key", pull, echo, "hf://owner/name: the hub does not let this be read"},
	}
	for name, do := range hangings {
		if name != leftAlone { // it is left alone, a minute at a time
			trials = append(trials, trial{"pairs: " + name, pairs, do, "q.jsonl:1: silent: no answer in 1 second"})
		}
	}
	for _, c := range trials {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url := hang(t, c.do)
			cmd, said := asking(t, url, c.args...)
			var exit *exec.ExitError
			if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() == exitInterrupted {
				t.Errorf("%v, want that it fails", err)
			}
			text := strings.ReplaceAll(said.String(), url[strings.LastIndexByte(url, ':'):], ":PORT")
			if !strings.Contains(text, c.want) || strings.Contains(text, secret) {
				t.Errorf("want %q and no key in\n%s", c.want, text)
			}
		})
	}
}

// TestCtrlCKeepsWhatHasBegunToCome: a reply that is being written is paid for. What has not begun is not waited for.
func TestCtrlCKeepsWhatHasBegunToCome(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		file string
	}{
		"pairs": {[]string{"pairs", "-c", "pairs.yaml", "pairs.samples=2"}, "run/answers.jsonl"},
		"eval":  {[]string{"eval", "-c", "pairs.yaml", "eval.tasks=q.jsonl", "eval.samples=2", "output.dir=out"}, "out/calls.jsonl"},
		"agentwrite": {[]string{"agentwrite", "-c", "pairs.yaml", "agentwrite.variant=extend", "agentwrite.select.min_words=0",
			"output.dir=out"}, "out/calls.jsonl"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, stopped := make(chan bool, 100), make(chan bool)
			s := llmtest.New()
			t.Cleanup(s.Close)
			s.Script = func(n int, w http.ResponseWriter) bool {
				if n > 1 { // says nothing
					<-stopped
					return true
				}
				w.Header().Set("Content-Type", "text/event-stream")
				fmt.Fprint(w, `data: {"choices":[{"delta":{"content":"It rained"}}]}`+"\n\n")
				w.(http.Flusher).Flush()
				begun <- true
				<-stopped
				fmt.Fprint(w, `data: {"choices":[{"delta":{"content":" all day."},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
				return true
			}
			args := c.args
			for _, key := range []string{"pairs.server", "eval.server", "agentwrite.writer"} {
				args = append(args, key+".url="+s.URL, key+".model=m")
			}
			cmd, said := asking(t, "http://127.0.0.1:1", args...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-begun
			time.Sleep(300 * time.Millisecond) // until it has come
			cmd.Process.Signal(syscall.SIGINT)
			time.Sleep(300 * time.Millisecond) // until it was taken
			close(stopped)
			cmd.Wait()
			files, _ := filepath.Glob(filepath.Join(cmd.Dir, c.file))
			var kept []byte
			for _, file := range files {
				kept, _ = os.ReadFile(file)
			}
			const want = "lwtrain: stopping: replies that have begun to come are waited for, 20 s at most, and kept"
			if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(said.String(), want) ||
				strings.Count(string(kept), "It rained all day.") != 1 {
				t.Errorf("exit status %d, want %d; kept in %v:\n%s\nof\n%s", code, exitInterrupted, files, kept, said)
			}
		})
	}
}
