package text

import (
	"errors"
	"strings"
	"testing"
)

// Covers R-104 for subject and bodies.
func FuzzRender(f *testing.F) {
	for i, name := range names {
		f.Add(uint8(i), name, "totp", link, "https://static.example.com/logo.png", "#336699", "login.example.com", "de", "123456", 30)
		f.Add(uint8(i), "Acme", name, name, name, name, name, name, name, i)
	}
	f.Fuzz(func(t *testing.T, n uint8, name, detail, link, logo, color, host, locale, code string, life int) {
		m := example(templates()[int(n)%len(templates())])
		m.Brand, m.Detail, m.Link, m.LogoURL, m.Color = name, detail, link, logo, color
		m.Host, m.Locale, m.Code, m.LifeMinutes = host, locale, code, life
		mail, err := Render(m)
		if err != nil {
			if !errors.Is(err, ErrLink) && !errors.Is(err, ErrCode) && !errors.Is(err, ErrHost) {
				t.Fatal(err)
			}
			if mail != (Mail{}) {
				t.Fatalf("a mail with an error: %+v", mail)
			}
			return
		}
		checkHarmless(t, m, mail)
		loadsNothing(t, mail.HTML, m.LogoURL)
		if strings.Contains(mail.HTML, "ZgotmplZ") {
			t.Fatal("the page shows what the template refused")
		}
	})
}
