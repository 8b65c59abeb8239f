package countersign

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"countersign.dev/pkg/dkim"
	"countersign.dev/pkg/secret"
)

type dkimCommand struct {
	Key dkimKeyCommand `cmd:"" help:"Make a key that signs mails, unless the file is there, and print what the DNS has to show of it."`
}

type dkimKeyCommand struct {
	File     string `arg:"" help:"File of the key, PEM; it is made with rights for its owner alone."`
	Domain   string `required:"" help:"Domain that signs: the one of the sender, or one above it."`
	Selector string `default:"cs1" help:"Name of the key below that domain."`
	Type     string `default:"rsa" enum:"rsa,ed25519" help:"Type of a new key: rsa, or ed25519, which some receivers cannot check yet."`
}

func (c dkimKeyCommand) Run(p *process) error {
	if err := dkim.CheckNames(c.Domain, c.Selector); err != nil {
		return err
	}
	text, err := c.read()
	if errors.Is(err, fs.ErrNotExist) {
		text, err = c.make()
	}
	if err != nil {
		return err
	}
	key, err := dkim.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	_, err = fmt.Fprintf(p.stdout, "%s. IN TXT ( %s )\n", dkim.RecordName(c.Domain, c.Selector), quoted(dkim.Record(key)))
	fmt.Fprintf(p.stderr, "The key is in %s. Once the DNS shows the record above:\nCOUNTERSIGN_SMTP_DKIM_DOMAIN=%s\nCOUNTERSIGN_SMTP_DKIM_SELECTOR=%s\nCOUNTERSIGN_SMTP_DKIM_KEY_FILE=%s\n",
		c.File, c.Domain, c.Selector, c.File)
	return err
}

func (c dkimKeyCommand) read() (secret.Text, error) {
	text, err := os.ReadFile(c.File)
	return secret.New(string(text)), err
}

// make writes a new key, and never over another file.
func (c dkimKeyCommand) make() (secret.Text, error) {
	text, err := dkim.NewKey(dkim.Kind(c.Type))
	if err != nil {
		return secret.Text{}, err
	}
	file, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return secret.Text{}, err
	}
	_, err = file.WriteString(text.Reveal())
	return text, errors.Join(err, file.Close())
}

// quoted is a text of a record as a zone file has it: one of TXT has at most
// 255 octets, and several are one.
func quoted(text string) string {
	var parts []string
	for len(text) > 255 {
		parts, text = append(parts, `"`+text[:255]+`"`), text[255:]
	}
	return strings.Join(append(parts, `"`+text+`"`), " ")
}
