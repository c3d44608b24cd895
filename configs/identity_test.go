package configs

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lwtrain/data"
	"lwtrain/model"
)

// kinds are the kinds of run that go on in a folder.
var kinds = []string{"sft", "dpo", "pairs", "eval", "experiment"}

// everyKey is a config in which every key has a value.
func everyKey(t *testing.T) *Config {
	t.Helper()
	c := parsed(t, `
model: {path: m, template: chatml}
data:
  sources:
    - {name: a, path: a.jsonl, samples: 3, roles: {bot: assistant}, columns: {messages: m}, filter: {languages: [en, zh], min_words: 5}}
  held_out: [{name: h, path: [h.jsonl, "i/*.gz"]}]
`, "train.memory_limit=8GiB", "dpo.loss_weights=2", "pairs.command=[sh, x]")
	c.Model.Init = &model.Init{Seed: 1, Config: map[string]any{"model_type": "llama"}}
	return c
}

func TestIdentitiesNameKindsOfRuns(t *testing.T) {
	for _, f := range append(slices.Clone(table().leaves), table().byPath["data.sources"].keys...) {
		for _, kind := range f.identity {
			if kind != "none" && !slices.Contains(kinds, kind) {
				t.Errorf("%s: identity:%q, want of %v, or none", f.path, kind, kinds)
			}
		}
	}
}

// Folders of earlier runs hold these settings: a change would make them the folders of other runs.
func TestSettingsAreThoseOfEarlierRuns(t *testing.T) {
	var got strings.Builder
	for _, kind := range kinds {
		settings := everyKey(t).Settings(kind)
		for _, key := range slices.Sorted(maps.Keys(settings)) {
			fmt.Fprintf(&got, "%s %s: %s\n", kind, key, settings[key])
		}
	}
	compareLines(t, "testdata/settings.txt", got.String())
}

// A line is a key and the kinds of run that refuse to go on when it has another value.
func TestAKeyBindsTheRunsThatItAlwaysBound(t *testing.T) {
	var got strings.Builder
	line := func(key string, value func(*Config) reflect.Value) {
		got.WriteString(key + ":")
		for _, kind := range kinds {
			before, after := everyKey(t), everyKey(t)
			change(value(after))
			if !maps.Equal(before.Settings(kind), after.Settings(kind)) {
				got.WriteString(" " + kind)
			}
		}
		got.WriteByte('\n')
	}
	for _, f := range table().leaves {
		line(f.path, func(c *Config) reflect.Value {
			v, _ := c.leaf(f)
			return v
		})
		for _, k := range leavesOf(f.keys) {
			line(f.path+"[]."+k.path, func(c *Config) reflect.Value {
				source := &c.Data.Sources[0]
				if f.kind == heldOut {
					source = &c.Data.HeldOut.Sources[0]
				}
				return reflect.ValueOf(source).Elem().FieldByIndex(k.index)
			})
		}
	}
	compareLines(t, "testdata/binds.txt", got.String())
}

// change gives v another value of its type.
func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1024)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 0.25)
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.New(v.Type().Elem()).Elem()))
	case reflect.Map:
		key := reflect.ValueOf("another key")
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(key, key)
	case reflect.Struct:
		v.Set(reflect.ValueOf(data.HeldOut{Fraction: 0.25}))
	default:
		panic("no other value of " + v.Type().String())
	}
}

// Folders of runs from before a key was there do not have it: they go on where it has its default.
func TestALaterKeyIsNoSettingAtItsDefault(t *testing.T) {
	c := everyKey(t)
	if v, ok := c.Settings("sft")["train.freeze"]; ok {
		t.Errorf("settings hold %q, want none", v)
	}
	for _, key := range []string{"train.min_lr_ratio", "train.decay_ratio"} {
		if v, ok := c.Settings("dpo")[key]; ok {
			t.Errorf("settings hold %s: %q, want none", key, v)
		}
	}
	c.Train.MinLRRatio = 0.2
	if got := c.Settings("sft")["train.min_lr_ratio"]; got != "0.2" {
		t.Errorf("settings hold %q", got)
	}
	c.Train.Freeze = []string{"lm_head.*"}
	if got := c.Settings("sft")["train.freeze"]; got != `"lm_head.*"` {
		t.Errorf("settings hold %q", got)
	}
}

// What folders without a key did may be another value than the default: then the default is a setting.
func TestAKeyWhoseDefaultIsNewIsASettingAtItsDefault(t *testing.T) {
	c := everyKey(t)
	for value, want := range map[string]string{"auto": "auto", "true": "true", "false": ""} {
		c.DPO.SharePrompts = value
		if got, ok := c.Settings("dpo")["dpo.share_prompts"]; got != want || ok != (want != "") {
			t.Errorf("%s: settings hold %q (%t), want %q", value, got, ok, want)
		}
	}
}

func TestTheReferencesPlaceIsFree(t *testing.T) {
	settings := func(reference string) string {
		c := everyKey(t)
		c.DPO.Reference = reference
		return c.Settings("dpo")["dpo.reference"]
	}
	for _, word := range []string{"initial", "none"} {
		if got := settings(word); got != word {
			t.Errorf("settings hold %q, want %q", got, word)
		}
	}
	if a, b := settings("m/a"), settings("elsewhere/a"); a != b {
		t.Errorf("settings hold %q and %q, want the same for all folders", a, b)
	}
}

// compareLines wants all lines of a golden file; those of keys that came later are in none.
func compareLines(t *testing.T, file, got string) {
	t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(got, "\n")
	for _, line := range strings.Split(string(want), "\n") {
		if !slices.Contains(lines, line) {
			t.Errorf("%q is missing, want every line of %s; it is now\n%s", line, file, got)
		}
	}
}

// Folders of runs from before a key was there do not have it: they go on where it has its default.
func TestAKeyThatCameLaterIsASettingWhereItSaysMore(t *testing.T) {
	c := everyKey(t)
	if v, ok := c.Settings("pairs")["pairs.end_weight"]; ok {
		t.Errorf("settings hold %q, want none", v)
	}
	c.Pairs.EndWeight = 0.5
	if got := c.Settings("pairs")["pairs.end_weight"]; got != "0.5" {
		t.Errorf("settings hold %q", got)
	}
}
