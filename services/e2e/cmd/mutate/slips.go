package main

import "slices"

const (
	apiDir = "services/api/"
	apiPkg = "./services/api"
	in     = "./services/api/internal/"
)

// slips is the list. Each line that is broken holds a promise.
var slips = slices.Concat(guessing, granting, storing, signing)
