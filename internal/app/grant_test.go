package app

import (
	"os"
	"strings"
	"testing"

	"ddpserver/internal/secret"
	"ddpserver/internal/testwait"
)

// A1: an administrator who is made on the command line is told to the others by
// the server, which finds the mails in its outbox when it starts.
func TestA1TheCommandLineTellsOfANewAdministrator(t *testing.T) {
	dir := t.TempDir()
	n := start(t, dir)
	for _, name := range []string{"root1", "root2"} {
		n.addUser(NewUser{Username: name, Email: name + "@example.com", Verified: true, Roles: []string{"admin", "user"},
			Password: secret.String("correct horse battery")})
	}
	n.end()
	start(t, dir)
	testwait.Until(t, "the first hears of the second", func() bool {
		for _, name := range mails(t, dir) {
			text, err := os.ReadFile(name)
			if err == nil && strings.Contains(string(text), "root1@example.com") && strings.Contains(string(text), "root2") &&
				strings.Contains(string(text), "new administrator") {
				return true
			}
		}
		return false
	})
}
