package stage

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel end the process when the test binary dies
// without a cleanup: a panic, a timeout, a kill.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
