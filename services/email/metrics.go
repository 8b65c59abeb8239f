package email

import (
	"strconv"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/service"
	"countersign.dev/services/email/internal/provider/own"
	"countersign.dev/services/email/internal/provider/smtp"
)

// series are the labels of the metrics: the replies of mail servers (RFC 5321
// 4.2.3) have series of their own.
func series() service.Series {
	words := []string{"busy", "bad_address", "bad_server"}
	for _, code := range []int{421, 450, 451, 452, 454, 455} {
		words = append(words, courier.ReasonServer+":"+strconv.Itoa(code))
	}
	for _, code := range []int{450, 451, 452, 455, 500, 501, 502, 503, 504, 521, 541, 550, 551, 552, 553, 554, 555, 556} {
		words = append(words, courier.ReasonRefused+":"+strconv.Itoa(code))
	}
	return service.Series{
		Results: "countersign_email_results_total", Answers: "countersign_email_provider_answers_total",
		Seconds:   "countersign_email_provider_seconds",
		Stock:     "countersign_email_stock_words_total",
		Providers: []string{smtp.Name, own.Name},
		Words:     words,
		Buckets:   []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600},
	}
}
