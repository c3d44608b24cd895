package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/data"
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
hold one array of them.

What the reference model says of the answers is computed once and kept in
data.cache_dir. A step takes per_device_train_batch_size x
gradient_accumulation_steps pairs. Losses: docs/dpo.md.

A run that was interrupted goes on from its last checkpoint when the same
command is given again; Ctrl-C saves one before it stops.`,
		Example: `  lwtrain dpo -c smollm2-dpo
  lwtrain dpo -c my.yaml dpo.loss_type=simpo dpo.reference=none dpo.beta=2
  lwtrain dpo -c my.yaml --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd, args)
			if err != nil {
				return err
			}
			return runTraining(cmd, c, preferences, dryRun)
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "do everything up to the first step, and write nothing")
	return cmd
}

var preferences = training{
	pairs: true,
	plan: func(c *configs.Config, s *data.Store) (*train.Plan, error) {
		return train.PlanPairs(s, c.DPO, c.Packing.Capacity, c.Train, c.Seed)
	},
	run: train.DPO,
}

// printPairs says what pairs are trained on, and by which loss.
func printPairs(line func(label, format string, args ...any), c *configs.Config, p *train.Plan) {
	line("pairs", "%s to train on, %.0f tokens each", grouped(int64(p.Pairs)), float64(p.Tokens)/float64(p.Pairs))
	if p.Split > 0 {
		line("", "%s larger than a pack of %s tokens: scored first, then trained", count(p.Split, "pair"), grouped(int64(p.Capacity)))
	}
	for _, text := range shareLines(p.Shares, "words") {
		line("", "%s", strings.Replace(text, "of the answer", "of the chosen answer", 1))
	}
	reference := c.DPO.Reference
	if !c.DPO.NeedsReference() {
		reference = "none"
	}
	line("loss", "%s, beta %g, reference %s", strings.Join(c.DPO.LossType, " + "), c.DPO.Beta, reference)
	perStep := c.Train.PerDeviceTrainBatchSize * c.Train.GradientAccumulationSteps
	line("run", "%s of %s = %.4g epochs", count(p.Schedule.Total, "step"), count(min(perStep, p.Pairs), "pair"), p.Epochs)
	if perStep > p.Pairs {
		line("", "a step could take %d pairs, and there are only %d", perStep, p.Pairs)
	}
	line("", "learning rate: %s, peak %.2g, warm-up %s", p.Schedule.Type, p.Schedule.Peak, count(p.Schedule.Warmup, "step"))
}

// marginText is what a step's line says of its pairs.
func marginText(v map[string]float64) string {
	margin, ok := v["rewards/margins"]
	if !ok {
		return ""
	}
	return fmt.Sprintf("  accuracy %.2f  margin %.3f", v["rewards/accuracies"], margin)
}

// preferenceText is what an evaluation says of its pairs.
func preferenceText(v map[string]float64) string {
	margin, ok := v["rewards/margins"]
	if !ok {
		return ""
	}
	text := fmt.Sprintf(", accuracy %.3f", v["rewards/accuracies"])
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
