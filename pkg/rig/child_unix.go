//go:build unix

package rig

import (
	"os/exec"
	"syscall"
)

// runAs makes cmd run as another user, which only root may do.
func runAs(cmd *exec.Cmd, uid, gid int) {
	attributes(cmd).Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func attributes(cmd *exec.Cmd) *syscall.SysProcAttr {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	return cmd.SysProcAttr
}
