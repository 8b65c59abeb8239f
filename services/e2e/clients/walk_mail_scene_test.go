package clients_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign.dev/services/e2e/clients/browser"
	"countersign.dev/services/e2e/stage"
)

var addressInMail = regexp.MustCompile(`https?://[^\s<>"]+`)

// addresses are all that the mails to an address lead to.
func (w *walks) addresses(email string) (out []string) {
	for _, item := range w.api.Call("GET", w.api.Path("inbox"), "per_page=50", "to="+email).Want(200).Items() {
		text, _ := item["text"].(string)
		out = append(out, addressInMail.FindAllString(text, -1)...)
	}
	return out
}

// mailed does what has a mail sent, and returns the link in it.
func (w *walks) mailed(t *testing.T, email string, do func()) (link string) {
	t.Helper()
	before := w.addresses(email)
	do()
	stage.Until(t, "a mail with a link to "+email, func() bool {
		for _, address := range w.addresses(email) {
			if linkInMail.MatchString(address) && !slices.Contains(before, address) {
				link = address
			}
		}
		return link != ""
	})
	return link
}

// reads opens a link of a mail at the inbox of dev: there it opens in a tab of
// its own, in which the person goes on.
func (w *walker) reads(link string) {
	w.t.Helper()
	mailbox := w.tab.Another()
	mailbox.Open(w.issuer + "/inbox")
	w.tab = mailbox.Opened(`a[href="` + link + `"]`)
	w.tab.Await(formOf("/link"))
	if at := w.tab.Location(); at != w.issuer+"/link" {
		w.t.Errorf("the link is open at %s", at)
	}
}

// clicks presses the button of a link's page.
func (w *walker) clicks() {
	w.t.Helper()
	w.sends("/link")
}

// named is the name of the pictures of a walk.
func named(walk string, look browser.Look) string {
	return walk + "-" + map[bool]string{false: "scripts", true: "noscript"}[look.NoScript]
}

// ourFiles are the files of pages: their names change with their content.
var ourFiles = regexp.MustCompile(`^/assets/[a-z-]+\.[a-z2-7]{16}\.(?:css|js)$`)

// home looks that the pages have asked nobody else for anything.
func (w *walker) home() {
	w.t.Helper()
	if outside := w.tab.Outside(w.issuer); len(outside) > 0 {
		w.t.Errorf("the pages ask elsewhere: %q", outside)
	}
	files := 0
	for _, address := range w.tab.Asked() {
		path := strings.TrimPrefix(address, w.issuer)
		if strings.HasPrefix(path, "/assets/") {
			files++
			if !ourFiles.MatchString(path) {
				w.t.Errorf("a file of the pages is called %s", path)
			}
		}
	}
	if files == 0 {
		w.t.Error("the pages have asked for no file of theirs, so nothing was looked at")
	}
}

// refuses looks that the page says what is wrong so that everybody hears it: an
// alert, which the field with the focus names, and the title.
func (w *walker) refuses(field string) {
	w.t.Helper()
	// A browser puts the focus where it belongs when it has drawn the page.
	stage.Until(w.t, "the focus is on "+field, func() bool { return w.tab.Has(`input[name="` + field + `"]:focus`) })
	heard := browser.Script[[]string](w.tab, `(() => {
		const at = document.activeElement, wrong = [];
		if (at.getAttribute("aria-invalid") !== "true") wrong.push("the field is not said to be invalid");
		const about = (at.getAttribute("aria-describedby") || "").split(" ").map((id) => document.getElementById(id));
		if (about.some((e) => !e)) wrong.push("the field is described by nothing");
		if (!about.some((e) => e && e.getAttribute("role") === "alert" && e.innerText.trim())) wrong.push("the field names no alert");
		return wrong;
	})()`)
	if len(heard) > 0 {
		w.t.Errorf("%s: %s\n%s", w.tab.Location(), strings.Join(heard, "; "), w.tab.Text())
	}
}
