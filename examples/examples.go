// Package examples holds the conversations and pairs that ship with lwtrain, so
// that the quickstart runs from the binary alone. A data source names one of them as
// `builtin:quickstart/long.jsonl`.
package examples

import "embed"

// FS holds the shipped files under the names used after `builtin:`.
//
//go:embed quickstart pairs length-cap longwriter
var FS embed.FS

// Scheme begins the name of a shipped file.
const Scheme = "builtin:"
