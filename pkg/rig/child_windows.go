package rig

import "os/exec"

// runAs does nothing: there is no root to run away from.
func runAs(*exec.Cmd, int, int) {}
