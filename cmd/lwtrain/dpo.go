package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/dpo"
	"lwtrain/session"
	"lwtrain/train"
)

func newDPOCmd() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "dpo",
		Short: "Train a model on pairs of a chosen and a rejected answer",
		Long: `Trains the model of a config on pairs: records with chosen and rejected, each
text, a message or a list of messages, and a prompt (prompt, messages,
conversations, instruction, or what both lists begin with). A .json file may
hold one array of them. With dpo.loss_type: kto it trains on single answers:
records of a conversation and a label (true, false), or the sides of pairs.

What the reference model says of the answers is computed once and kept in
data.cache_dir. A step takes per_device_train_batch_size x
gradient_accumulation_steps pairs, or labelled answers. Losses: docs/dpo.md.

A run that was interrupted goes on from its last checkpoint when the same
command is given again; Ctrl-C saves one before it stops.`,
		Example: `  lwtrain dpo -c smollm2-dpo
  lwtrain dpo -c my.yaml dpo.loss_type=simpo dpo.reference=none dpo.beta=2
  lwtrain dpo -c my.yaml --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTraining(cmd, args, session.DPO, dryRun)
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "do everything up to the first step, and write nothing")
	return cmd
}

// printPairs says what pairs, or labelled answers, are trained on, and by which loss.
func printPairs(line func(label, format string, args ...any), c *configs.Config, p *train.Plan) {
	kind := "pair"
	switch {
	case p.Labelled:
		kind = "answer"
		line("answers", "%s desirable, %s undesirable to train on, %.0f tokens each", grouped(int64(p.Desirable)),
			grouped(int64(p.Pairs-p.Desirable)), float64(p.Tokens)/float64(p.Pairs))
	default:
		line("pairs", "%s to train on, %.0f tokens each", grouped(int64(p.Pairs)), float64(p.Tokens)/float64(p.Pairs))
	}
	if p.Split > 0 {
		line("", "%s larger than a pack of %s tokens: scored first, then trained", count(p.Split, "pair"), grouped(int64(p.Capacity)))
	}
	for _, text := range shareLines(p.Shares, "words") {
		if !p.Labelled {
			text = strings.Replace(text, "of the answer", "of the chosen answer", 1)
		}
		line("", "%s", text)
	}
	reference := c.DPO.Reference
	if !c.DPO.NeedsReference() {
		reference = "none"
	}
	line("loss", "%s, beta %g, reference %s", strings.Join(c.DPO.LossType, " + "), c.DPO.Beta, reference)
	if text := balanceText(c.DPO, p); text != "" {
		line("", "%s", text)
	}
	perStep := c.Train.PerDeviceTrainBatchSize * c.Train.GradientAccumulationSteps
	line("run", "%s of %s = %.4g epochs", count(p.Schedule.Total, "step"), count(min(perStep, p.Pairs), kind), p.Epochs)
	if perStep > p.Pairs {
		line("", "a step could take %d %ss, and there are only %d", perStep, kind, p.Pairs)
	}
	if p.Labelled && perStep < 4 {
		line("", "kto's estimate of the KL is the mean of %s: take more a step", count(perStep, "answer"))
	}
	line("", "learning rate: %s, peak %.2g, warm-up %s", p.Schedule.Type, p.Schedule.Peak, count(p.Schedule.Warmup, "step"))
}

// balanceText says how desirable and undesirable answers weigh against each other,
// where that is not between 1:1 and 4:3 as KTO's authors recommend (Ethayarajh et al.
// 2024, arXiv:2402.01306, equation 8).
func balanceText(o dpo.Options, p *train.Plan) string {
	good, bad := float64(p.Desirable), float64(p.Pairs-p.Desirable)
	ratio := o.DesirableWeight * good / (o.UndesirableWeight * bad)
	switch {
	case !p.Labelled || ratio > 0.995 && ratio < 1.34:
		return ""
	case good == 0 || bad == 0:
		return "all answers have the same label: kto wants some of both"
	case o.DesirableWeight == 0 || o.UndesirableWeight == 0:
		return "one label has a weight of 0: only answers of the other one are learnt from"
	case ratio < 1:
		return fmt.Sprintf("the undesirable ones weigh more, 1:%.3g: try dpo.desirable_weight: %.3g", 1/ratio, o.UndesirableWeight*bad/good)
	}
	return fmt.Sprintf("the desirable ones weigh %.3g:1: try dpo.undesirable_weight: %.3g", ratio, o.DesirableWeight*good/bad)
}

// marginText is what a step's line says of its pairs.
func marginText(v map[string]float64) string {
	margin, ok := v["rewards/margins"]
	if !ok {
		return ""
	}
	if accuracy, ok := v["rewards/accuracies"]; ok {
		return fmt.Sprintf("  accuracy %.2f  margin %.3f", accuracy, margin)
	}
	return fmt.Sprintf("  kl %.3f  margin %.3f", v["kl"], margin)
}

// preferenceText is what an evaluation says of its pairs.
func preferenceText(v map[string]float64) string {
	margin, ok := v["rewards/margins"]
	if !ok {
		return ""
	}
	accuracy, ok := v["rewards/accuracies"]
	if !ok {
		return fmt.Sprintf(", kl %.4f, margin %.4f", v["kl"], margin)
	}
	text := fmt.Sprintf(", accuracy %.3f", accuracy)
	if v["rewards/ties"] > 0 {
		text += fmt.Sprintf(" (ties %.3f)", v["rewards/ties"])
	}
	return text + fmt.Sprintf(", margin %.4f", margin)
}

// printPreferences says how the held-out pairs changed.
func printPreferences(line func(label, format string, args ...any), r train.Result) {
	if r.FirstEval == nil || r.LastEval == nil || r.LastEval.Values == nil {
		return
	}
	before, after := r.FirstEval.Values, r.LastEval.Values
	if _, paired := after["rewards/accuracies"]; !paired {
		if margin, ok := after["rewards/margins"]; ok {
			line("", "margin %.4f before, %.4f after; kl %.4f", before["rewards/margins"], margin, after["kl"])
		}
		return
	}
	ties := ""
	if before["rewards/ties"] > 0 {
		ties = fmt.Sprintf(" (ties %.3f)", before["rewards/ties"])
	}
	line("", "accuracy %.3f before%s, %.3f after; margin %.4f and %.4f", before["rewards/accuracies"], ties, after["rewards/accuracies"],
		before["rewards/margins"], after["rewards/margins"])
	if x, ok := after["margin_length_correlation"]; ok {
		line("", "margins go with lengths by a correlation of %.2f", x)
	}
}
