package api

// Version is the version of the whole project; release builds set it with
// -ldflags "-X countersign.dev/services/api.Version=...".
var Version = "dev"
