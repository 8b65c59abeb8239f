package smtp

import (
	"crypto"

	"github.com/wneessen/go-mail"

	"countersign.dev/pkg/dkim"
)

// The headers that a signature covers, and those of which it also says that
// there is no second one: a receiver that shows another From or Subject than
// was signed sees that the signature is wrong (RFC 6376 8.15).
//
// Their order and the blank matter. The library folds the list behind its 75th
// character and signs it unfolded: where it folds, the list has to have a blank
// of its own, or the signature fits no mail. In this order that is behind a
// colon, where a blank means nothing (RFC 6376 3.5), and before a name that no
// mail has a second time, which is what this half of the list says.
var (
	signedHeaders = []string{"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted"}
	signedOnce    = []string{" From", "To", "Subject", "Date", "Message-ID"}
)

// sign makes the library sign a mail. A signer of it must not be shared.
func (c *Config) sign(msg *mail.Msg, key crypto.Signer) {
	if key == nil {
		return
	}
	signer := mail.NewDKIMSigner(c.DKIMDomain, c.DKIMSelector, key)
	signer.HeaderCanonicalization(mail.CanonicalizationRelaxed)
	signer.BodyCanonicalization(mail.CanonicalizationRelaxed)
	signer.SignHeaders(signedHeaders...)
	signer.OversignHeaders(signedOnce...)
	signer.NowFunc = c.Now
	msg.SetDKIM(signer)
}

// signingKey is nil when mails are not signed.
func (c *Config) signingKey() (crypto.Signer, error) {
	if c.DKIMKey.IsZero() {
		return nil, nil
	}
	return dkim.Parse(c.DKIMKey)
}

// checkSigning refuses what no receiver would take for ours.
func (c *Config) checkSigning(refuse func(bad bool, key, text string)) {
	if c.DKIMDomain == "" && c.DKIMSelector == "" && c.DKIMKey.IsZero() {
		return
	}
	names := dkim.CheckNames(c.DKIMDomain, c.DKIMSelector)
	refuse(names == dkim.ErrDomain, "DKIM_DOMAIN", "is missing, or not a domain of at most 70 characters") //nolint:errorlint // it is not wrapped
	refuse(names == dkim.ErrSelector, "DKIM_SELECTOR", "is missing, or not letters, digits and dashes")    //nolint:errorlint // it is not wrapped
	refuse(names == nil && !dkim.Covers(c.DKIMDomain, c.From), "DKIM_DOMAIN", "is not the domain of FROM, or one above it")
	_, err := dkim.Parse(c.DKIMKey)
	refuse(err != nil, "DKIM_KEY", "is missing, or not an RSA key of 2048 to 4096 bits or an Ed25519 key in PEM")
}
