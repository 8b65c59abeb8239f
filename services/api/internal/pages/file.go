package pages

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"

	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/pipeline"
)

// file is something that every caller gets alike: kept compressed, since that
// is how nearly everybody takes it.
type file struct {
	mediaType string
	packed    []byte // gzip
	policy    string // content policy of a page; the house's where it is empty
}

func compress(plain []byte) []byte {
	var out bytes.Buffer
	writer, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err == nil {
		_, err = writer.Write(plain)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		panic(err) // neither the level nor a buffer can fail
	}
	return out.Bytes()
}

// route serves the file to everybody.
func (f file) route(path, summary string) pipeline.Route {
	return pipeline.Route{
		Method: http.MethodGet, Path: path, Summary: summary,
		Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RateAPI,
		Handler: pipeline.Handle(func(context.Context, pipeline.Call, pipeline.Nothing) (file, error) { return f, nil }),
		Write:   writeFile,
	}
}

func writeFile(w http.ResponseWriter, r *http.Request, status int, answer any) {
	f, _ := answer.(file) // what the handler above returns
	header := w.Header()
	header.Set("Content-Type", f.mediaType)
	header.Set("Vary", "Accept-Encoding")
	if f.policy != "" {
		header.Set("Content-Security-Policy", f.policy)
	}
	if takesGzip(r) {
		header.Set("Content-Encoding", "gzip")
		header.Set("Content-Length", strconv.Itoa(len(f.packed)))
		w.WriteHeader(status)
		_, _ = w.Write(f.packed) // the client is gone, if anything
		return
	}
	plain, err := gzip.NewReader(bytes.NewReader(f.packed))
	if err != nil {
		web.WriteFault(w, r, err)
		return
	}
	w.WriteHeader(status)
	_, _ = io.Copy(w, plain) //nolint:gosec // it was compressed by this program, not by a caller
}

// takesGzip reports whether the client names gzip and does not rule it out.
func takesGzip(r *http.Request) bool {
	for named := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, weight, weighted := strings.Cut(strings.ReplaceAll(named, " ", ""), ";")
		if strings.EqualFold(coding, "gzip") {
			return !weighted || strings.Trim(strings.TrimPrefix(weight, "q="), "0.") != ""
		}
	}
	return false
}
