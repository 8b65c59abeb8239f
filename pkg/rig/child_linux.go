package rig

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel end the server when the test binary dies
// without a cleanup: a panic, a timeout, a kill.
func dieWithParent(cmd *exec.Cmd) {
	attributes(cmd).Pdeathsig = syscall.SIGKILL
}
