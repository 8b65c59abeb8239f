package verification

import (
	"net/http"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/web"
)

// codes are the contract's codes of faults, by ours. What has no row is named by
// its kind. docs/verification.md has the same table for app developers, and a
// test compares them.
var codes = map[string]string{
	"malformed_body":        "VER_0004",
	"malformed_parameter":   "VER_0004",
	"duplicate_parameter":   "VER_0004",
	"body_timeout":          "VER_0004",
	"query_not_allowed":     "VER_0004",
	"missing_parameter":     "VER_0005",
	"invalid_parameter":     "VER_0005",
	"usage_type_not_valid":  "VER_0003",
	"action_not_valid":      "VER_0003",
	"request_id_not_valid":  "VER_0006",
	"request_id_spent":      "VER_0006",
	"reset_id_not_valid":    "VER_0006",
	"track_id_not_valid":    "VER_0025",
	"first_factor_missing":  "VER_0025",
	"sub_not_valid":         "VER_0026",
	"number_not_allowed":    "VER_0026",
	"country_not_allowed":   "VER_0026",
	"method_not_active":     "VER_0028",
	"reset_not_offered":     "VER_0028",
	"already_enrolled":      "VER_0029",
	"method_unknown":        "VER_0030",
	"exchange_id_not_valid": "VER_0032",
	"exchange_id_expired":   "VER_0033",
	"too_many_devices":      "VER_0034",
	"code_not_valid":        "VER_0041",
	"malformed_code":        "VER_0041",
	"code_missing":          "VER_0046",
	"password_must_change":  "VER_0120",
	"password_breached":     "VER_0120",
	"status_id_not_valid":   "VER1075",
}

// kinds are the codes of what the contract has no code for. They are ours: the
// status, in the form of the contract's.
var kinds = map[fault.Kind]string{
	fault.Malformed:    "VER_0005",
	fault.Invalid:      "VER_0005",
	fault.Unauthorized: "VER_0401",
	fault.Forbidden:    "VER_0403",
	fault.NotFound:     "VER_0404",
	fault.Conflict:     "VER_0409",
	fault.TooLarge:     "VER_0413",
	fault.Unsupported:  "VER_0415",
	fault.Method:       "VER_0405",
	fault.Misdirected:  "VER_0421",
	fault.Limited:      "VER_0429",
	fault.Unavailable:  "VER_0503",
	fault.Internal:     "VER_0500",
}

// Public information has two codes of its own: for ids that are not good, and
// for all else that is wrong with a request.
const (
	publicPaths = "/public-srv/"
	publicOther = "PUB10001"
	publicID    = "PUB10002"
)

// faultOut is the envelope of an error. The contract's clients read one of
// error and error_description, and none looks at the HTTP status.
type faultOut struct {
	Success     bool   `json:"success"`
	Status      int    `json:"status"`
	Code        string `json:"code"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Type        string `json:"type"`
	RequestID   string `json:"request_id"`
}

// WriteFault answers with an error in the envelope.
func WriteFault(w http.ResponseWriter, r *http.Request, err error) {
	web.WriteFaultAs(w, r, err, func(f *fault.Error, requestID string) (int, any) {
		status := statusOf(f)
		if f.Code == "missing_parameter" && resetsPassword(r.URL.Path) {
			status = http.StatusExpectationFailed
		}
		return status, faultOut{
			Status: status, Code: codeOf(r.URL.Path, f), Error: f.Message, Description: f.Message, Type: f.Code, RequestID: requestID,
		}
	})
}

// statusOf is that of the kind, but that all which is wrong with parameters is
// 400 here.
func statusOf(f *fault.Error) int {
	if f.Kind == fault.Invalid {
		return http.StatusBadRequest
	}
	return web.Status(f.Kind)
}

func codeOf(path string, f *fault.Error) string {
	code, known := codes[f.Code]
	if !known {
		code = kinds[f.Kind]
	}
	if strings.HasPrefix(path, publicPaths) && statusOf(f) == http.StatusBadRequest {
		if code == codes["request_id_not_valid"] || code == codes["track_id_not_valid"] {
			return publicID
		}
		return publicOther
	}
	return code
}
