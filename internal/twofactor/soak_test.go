//go:build soak

package twofactor_test

import "testing"

// TestSoakRaces plays the 200 rounds of docs/security-tests.md S005 and S006.
func TestSoakRaces(t *testing.T) {
	soakRounds = 200
	defer func() { soakRounds = 0 }()
	t.Run("totp", TestS005TOTPRace)
	t.Run("mail", TestS006MailCodeRace)
	t.Run("backup", TestS007BackupRace)
}
