package event

// Mail is the content of an e-mail before it is sealed. The worker writes it
// out by Template and Locale; nothing here is HTML.
type Mail struct {
	To       string `json:"to"`
	Template string `json:"template"`
	Link     string `json:"link,omitempty"`     // of the templates that carry one
	Code     string `json:"code,omitempty"`     // of TemplateCode
	Brand    string `json:"brand"`              // the organization's name
	LogoURL  string `json:"logo_url,omitempty"` // https
	Color    string `json:"color,omitempty"`    // #rrggbb
	Host     string `json:"host"`               // of the login page
	Locale   string `json:"locale"`             // BCP 47, the user's or the organization's
	At       int64  `json:"at"`                 // when it happened, was asked for or will happen, unix milliseconds
	// LifeMinutes is how long the link or code is good, or the password that
	// expires.
	LifeMinutes int `json:"life_minutes,omitempty"`
	// Detail is one short word of a notice, such as the kind of a factor.
	Detail string `json:"detail,omitempty"`
	// Words are the organization's own in place of the worker's; GivenName is
	// the user's, for them alone.
	Words     *Words `json:"words,omitempty"`
	GivenName string `json:"given_name,omitempty"`
}

// Words are an organization's own: a template of pkg/wording, in the language
// that was chosen for this message. A worker that cannot use them, or does not
// know them, has its own.
type Words struct {
	Locale  string `json:"locale"` // BCP 47
	Subject string `json:"subject,omitempty"`
	Text    string `json:"text"`
	HTML    string `json:"html,omitempty"`
}

// The templates.
const (
	TemplateCode           = "code"
	TemplatePasswordCreate = "password_create"
	TemplatePasswordReset  = "password_reset"
	TemplateMagicLink      = "magic_link"

	TemplateNoticePasswordChanged       = "notice_password_changed"
	TemplateNoticeFactorChanged         = "notice_factor_changed"
	TemplateNoticeRecoveryCodeUsed      = "notice_recovery_code_used"
	TemplateNoticeRecoveryCodesReplaced = "notice_recovery_codes_replaced"
	TemplateNoticeSecondFactorFailing   = "notice_second_factor_failing"
	TemplateNoticeEmailChanged          = "notice_email_changed"
	TemplateNoticePasswordDisabled      = "notice_password_disabled"
	TemplateNoticePasswordExpiring      = "notice_password_expiring"
	TemplateNoticePasswordCompromised   = "notice_password_compromised"
	TemplateNoticeFactorsDisabled       = "notice_factors_disabled"
	TemplateNoticeFactorsReset          = "notice_factors_reset"
)
