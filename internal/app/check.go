package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"ddpserver/internal/config"
	"ddpserver/internal/feed/natsfeed"
	"ddpserver/internal/mail"
	"ddpserver/internal/settings"
)

// shortPassword is the length below which an administrator's password is worth a
// warning (NIST SP 800-63B-4).
const shortPassword = 8

// Check finds what config.Load cannot know, since only the packages below know
// their own formats. It opens no port and no database and makes nothing.
func Check(c *config.Config) (problems, warnings []string) {
	if u := c.MailURL.Reveal(); u != "" {
		if _, err := mail.Parse(u); err != nil {
			problems = append(problems, "MAIL_URL: "+oneLine(err))
		}
	}
	if u := c.Transporter.Reveal(); u != "" && c.Transporter != config.Polling {
		if err := natsfeed.CheckAddress(u); err != nil {
			problems = append(problems, "TRANSPORTER: "+oneLine(err))
		}
	}
	if err := mail.Check(c.MailFrom); err != nil {
		problems = append(problems, "MAIL_FROM: "+oneLine(err))
	}
	if pw := c.AdminPass.Reveal(); pw != "" && utf8.RuneCountInString(pw) < shortPassword {
		warnings = append(warnings, "ADMIN_PASS is shorter than 8 characters: choose a longer one before strangers can reach this server")
	}
	wrong, doubtful := checkFiles(c)
	problems, warnings = append(problems, wrong...), append(warnings, doubtful...)
	unknown, err := settings.CheckOverrides(c.Settings)
	warnings = append(warnings, unknown...)
	problems = append(problems, each(err)...)
	_, err = settings.Initial(settings.Table(), c.Environ)
	problems = append(problems, each(err)...)
	return append(problems, checkDir(c)...), warnings
}

// each splits a joined error into its lines.
func each(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

// checkDir looks at a data directory that is there.
func checkDir(c *config.Config) (problems []string) {
	if c.MongoURL != "" {
		return nil
	}
	st, err := os.Stat(c.DataDir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil // it will be made
	case err != nil:
		return []string{explainDir(c.DataDir, err).Error()}
	case !st.IsDir():
		return []string{"DATA_DIR: " + c.DataDir + " is no directory: name another one"}
	}
	if c.EncryptionKey != "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(c.DataDir, keyName))
	if err == nil {
		if _, err = parseKey(filepath.Join(c.DataDir, keyName), string(text)); err != nil {
			problems = append(problems, err.Error())
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		problems = append(problems, explainDir(c.DataDir, err).Error())
	}
	return problems
}
