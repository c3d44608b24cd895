//go:build !linux

package machine

import "errors"

// Disk is the file system under a folder, in bytes.
type Disk struct {
	Total int64  `json:"total"`
	Free  int64  `json:"free"`
	Type  string `json:"type"`
}

// ReadDisk is there on Linux only.
func ReadDisk(string) (Disk, error) { return Disk{}, errors.ErrUnsupported }
