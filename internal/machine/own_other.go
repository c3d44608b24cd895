//go:build !unix

package machine

import "time"

func ownTime() time.Duration { return 0 }
