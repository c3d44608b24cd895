//go:build windows

package fault

// Runs lock folders and move them while they are open, which Windows does not allow. In
// its Subsystem for Linux (WSL 2) lwtrain builds and runs as on Linux.
var _ = lwtrain_does_not_run_on_Windows_but_in_its_WSL_2
