package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lwtrain/data"
	"lwtrain/internal/fault"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// generateFlags are the flags of lwtrain generate.
type generateFlags struct {
	model, template, prompt, system string
	raw, greedy, json               bool
	maxNew                          int
	temperature, topP               float64
	seed                            uint64
}

func newGenerateCmd() *cobra.Command {
	var f generateFlags
	cmd := &cobra.Command{
		Use:   "generate -m DIR [--prompt TEXT]",
		Short: "Write text with a model",
		Long: `Answers a prompt with a model folder (Hugging Face layout), such as a checkpoint
of a run. The prompt is put into the model's chat template unless --raw is
given; without --prompt it is read from standard input. The text is streamed to
standard output; with --json one object is printed at the end.`,
		Example: `  lwtrain generate -m runs/quickstart/checkpoints/step-000040 --prompt "Write a 1000-word story"
  lwtrain generate -m DIR --prompt "Hello" --greedy --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return generate(cmd, f) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.model, "model", "m", "", "model folder")
	fl.StringVar(&f.prompt, "prompt", "", "what to answer; - or none: standard input")
	fl.StringVar(&f.system, "system", "", "system message before the prompt")
	fl.StringVar(&f.template, "template", "auto", "chat template: auto (the model's own), a shipped name, or a .jinja file")
	fl.BoolVar(&f.raw, "raw", false, "continue the prompt as it is, without a chat template")
	fl.BoolVar(&f.greedy, "greedy", false, "always take the most probable token")
	fl.Float64Var(&f.temperature, "temperature", 0.7, "sampling temperature; 0 is the same as --greedy")
	fl.Float64Var(&f.topP, "top-p", 0.9, "sample from the most probable tokens that together reach this probability")
	fl.IntVar(&f.maxNew, "max-new-tokens", 2048, "longest answer, in tokens")
	fl.Uint64Var(&f.seed, "seed", 42, "seed of the sampling")
	fl.BoolVar(&f.json, "json", false, "print {ids, text, words, stop} instead of the text")
	cmd.MarkFlagRequired("model")
	return cmd
}

func generate(cmd *cobra.Command, f generateFlags) error {
	if f.maxNew < 1 || f.temperature < 0 || f.topP <= 0 || f.topP > 1 {
		return fault.Usage(fmt.Errorf("--max-new-tokens %d --temperature %g --top-p %g, want at least 1, at least 0, and above 0 up to 1",
			f.maxNew, f.temperature, f.topP))
	}
	prompt := f.prompt
	if prompt == "" || prompt == "-" {
		in, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 64<<20))
		if err != nil {
			return err
		}
		prompt = strings.TrimRight(string(in), "\n")
	}
	if prompt == "" {
		return fault.Usage(fault.Hint(fmt.Errorf("the prompt is empty"), "give --prompt, or write it to standard input"))
	}
	tok, ids, stop, err := encodePrompt(f, prompt)
	if err != nil {
		return err
	}
	m, err := loadModel(f.model)
	if err != nil {
		return err
	}
	defer m.Free()
	request := model.Request{
		Prompt: ids, MaxNewTokens: f.maxNew, Stop: stop,
		Sampling: model.Sampling{Temperature: f.temperature, TopP: f.topP, Seed: f.seed},
	}
	if f.greedy {
		request.Sampling.Temperature = 0
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	defer out.Flush()
	stream := tok.Decoder()
	if !f.json {
		request.Emit = func(id int32) {
			if !tok.IsSpecial(id) {
				out.WriteString(stream.Next(id))
				out.Flush()
			}
		}
	}
	done, err := model.NewGenerator(m).Generate(cmd.Context(), []model.Request{request}, 1)
	if err != nil {
		return err
	}
	if !f.json {
		fmt.Fprintln(out, stream.Flush())
		return nil
	}
	text := tok.Decode(done[0].IDs, true)
	return json.NewEncoder(out).Encode(struct {
		IDs   []int32 `json:"ids"`
		Text  string  `json:"text"`
		Words int     `json:"words"`
		Stop  string  `json:"stop"`
	}{orEmpty(done[0].IDs), text, data.Words(text), done[0].Stop})
}

// orEmpty makes a missing list an empty one, so that it prints as [].
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// encodePrompt turns the prompt into ids, and finds the ids that end an answer.
func encodePrompt(f generateFlags, prompt string) (tok *tokenizer.Tokenizer, ids, stop []int32, err error) {
	if tok, err = tokenizer.Load(f.model); err != nil {
		return nil, nil, nil, err
	}
	if f.raw {
		return tok, tok.Encode(prompt), tok.EOS(), nil
	}
	chat, err := tok.Chat(f.template)
	if err != nil {
		return nil, nil, nil, fault.Hint(err, "--raw continues a prompt without a chat template; --template names another")
	}
	var messages []tokenizer.Message
	if f.system != "" {
		messages = append(messages, tokenizer.Message{Role: "system", Content: f.system})
	}
	_, ids, err = chat.Prompt(append(messages, tokenizer.Message{Role: "user", Content: prompt}))
	return tok, ids, chat.Stop(), err
}
