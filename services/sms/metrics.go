package sms

import (
	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/service"
	"countersign.dev/services/sms/internal/provider/twilio"
)

// series are the labels of the metrics: Twilio's codes that an operator acts
// on have series of their own.
func series() service.Series {
	return service.Series{
		Results: "countersign_sms_results_total", Answers: "countersign_sms_provider_answers_total",
		Seconds: "countersign_sms_provider_seconds", Lookups: "countersign_sms_provider_lookups_total",
		Stock:     "countersign_sms_stock_words_total",
		Providers: []string{twilio.Name},
		Words: []string{
			courier.ReasonServer + ":500", courier.ReasonServer + ":502", courier.ReasonServer + ":503", courier.ReasonServer + ":504",
			courier.ReasonRefused + ":21211", // not a valid number
			courier.ReasonRefused + ":21408", // region not enabled
			courier.ReasonRefused + ":21606", // the sender is not ours
			courier.ReasonRefused + ":21610", // opted out
			courier.ReasonRefused + ":21612", // no route
			courier.ReasonRefused + ":21614", // not a mobile
		},
		LookupWords: []string{
			courier.LookFound, courier.LookMissing, courier.ReasonUnsure, courier.ReasonCredentials, courier.ReasonUnreachable,
			courier.ReasonNoAnswer, courier.ReasonUnreadable, courier.ReasonRateLimited,
		},
	}
}
