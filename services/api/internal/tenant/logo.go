package tenant

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"regexp"
	"strings"

	"countersign.dev/pkg/fault"
)

// Logo is the picture that the pages of an organization show. [ParseLogo] makes
// it; the zero value is none.
type Logo struct {
	Hash      string // SHA-256 of Content in hexadecimal digits: its address is made of it
	MediaType string // image/png or image/jpeg, as its bytes say
	Content   []byte
}

// Bounds of a logo. A page that shows one stays below 60 KiB.
const (
	MaxLogo     = 24 << 10 // octets
	maxLogoSide = 1024     // pixels
)

// LogoPath is what the addresses of logos start with, below the base URL. The
// hash of the picture follows.
const LogoPath = "/assets/logo/"

// LogoStore keeps the pictures.
type LogoStore interface {
	// Logo returns the picture with that hash that a living organization
	// shows, or ErrNotFound.
	Logo(ctx context.Context, hash string) (Logo, error)
}

// LogoPath is where the organization's logo is served, below the base URL;
// empty where it has none.
func (o Organization) LogoPath() string {
	if o.LogoHash == "" {
		return ""
	}
	return LogoPath + o.LogoHash
}

// picture is a format that every browser shows and that holds nothing that runs.
type picture struct {
	begins, ends string
	config       func(io.Reader) (image.Config, error)
}

var pictures = map[string]picture{
	"image/png":  {"\x89PNG\r\n\x1a\n", "\x00\x00\x00\x00IEND\xaeB`\x82", png.DecodeConfig},
	"image/jpeg": {"\xff\xd8\xff", "\xff\xd9", jpeg.DecodeConfig},
}

var errLogo = fault.New(fault.Invalid, "invalid_parameter",
	"logo must be data:image/png;base64,… or data:image/jpeg;base64,… with a whole picture of the type that it says; in a form, + is written as %2B")

// ParseLogo reads a logo from a data URI; an empty text is none. What it is,
// its bytes say: they begin and end as the type does that the URI names. Only
// the header is read, so that no picture costs more than its octets. It returns
// a fault of kind Invalid.
func ParseLogo(uri string) (Logo, error) {
	if uri == "" {
		return Logo{}, nil
	}
	mediaType, encoded, ok := strings.Cut(strings.TrimPrefix(uri, "data:"), ";base64,")
	format, known := pictures[mediaType]
	if !ok || !known || !strings.HasPrefix(uri, "data:") {
		return Logo{}, errLogo
	}
	if len(encoded) > base64.StdEncoding.EncodedLen(MaxLogo) {
		return Logo{}, fault.Newf(fault.Invalid, "invalid_parameter", "logo must have at most %d octets before they are encoded; save it smaller", MaxLogo)
	}
	content, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !bytes.HasPrefix(content, []byte(format.begins)) || !bytes.HasSuffix(content, []byte(format.ends)) {
		return Logo{}, errLogo.Because(err)
	}
	size, err := format.config(bytes.NewReader(content))
	if err != nil || size.Width < 1 || size.Height < 1 {
		return Logo{}, errLogo.Because(err)
	}
	if size.Width > maxLogoSide || size.Height > maxLogoSide {
		return Logo{}, fault.Newf(fault.Invalid, "invalid_parameter", "logo must have at most %d pixels each way; save it smaller", maxLogoSide)
	}
	sum := sha256.Sum256(content)
	return Logo{hex.EncodeToString(sum[:]), mediaType, content}, nil
}

var hashPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Logo returns the picture with a hash, or ErrNotFound. Whoever asks may have
// it: it stands on pages that everybody can open.
func (s *Service) Logo(ctx context.Context, hash string) (Logo, error) {
	if !hashPattern.MatchString(hash) {
		return Logo{}, ErrNotFound
	}
	return s.Store.Logo(ctx, hash)
}
