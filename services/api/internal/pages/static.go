package pages

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base32"
	"net/http"
	"strings"
	"time"

	"countersign.dev/services/api/internal/pipeline"
)

// Static serves what all pages have in common: how they look, and the script
// that makes the forms of the sign-in page easier. The paths hold a digest of
// what is there, so that browsers keep it for a year and another version is
// fetched at once.
type Static struct{}

var (
	//go:embed static/pages.css
	styleCSS []byte
	//go:embed static/pages.js
	scriptJS []byte

	stylePath  = hashed("pages", ".css", styleCSS)
	scriptPath = hashed("pages", ".js", scriptJS)
)

// hashed is where a file is served.
func hashed(name, ending string, content []byte) string {
	sum := sha256.Sum256(content)
	return "/assets/" + name + "." + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10])) + ending
}

// aYear is as long as HTTP lets anybody keep what never changes.
const aYear = 365 * 24 * time.Hour

// Routes is the table of these files.
func (Static) Routes() []pipeline.Route {
	style := file{textCSS, compress(styleCSS), ""}.route(stylePath, "Get the style of the pages")
	script := file{textJS, compress(scriptJS), ""}.route(scriptPath, "Get the script of the sign-in page")
	style.CacheFor, script.CacheFor = aYear, aYear
	return []pipeline.Route{style, script}
}

// root leads from a page to the root of the service. It is relative: a proxy may
// have put the service below a path, and a page of a fault knows no base URL.
func root(r *http.Request) string {
	deep := strings.Count(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	if deep == 0 {
		return "."
	}
	return strings.TrimSuffix(strings.Repeat("../", deep), "/")
}
