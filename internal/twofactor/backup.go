package twofactor

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/user"
)

// Backup codes as Rocket.Chat makes them (docs/wire/rocketchat.md 1.6.4).
const (
	backupCount  = 12
	backupLength = 8
	// backupPrefix marks a keyed and salted code; a text without it is the plain
	// hex SHA-256 of an adopted database.
	backupPrefix = "v1."
)

// Backup is the name of backup codes in the audit stream.
const Backup = "backup"

// backupCodes are the one-time substitutes of the authenticator app. Nobody is asked
// for one by name: they are answers to the app's challenge, and go with the app.
type backupCodes struct {
	Base
	*Service
}

func (backupCodes) Name() string               { return Backup }
func (backupCodes) Strength() Strength         { return ByTOTP }
func (backupCodes) Offered(*user.User) bool    { return false }
func (backupCodes) SwitchedOn(*user.User) bool { return false }
func (backupCodes) Enabled(*user.User) bool    { return false }

// Verify implements Factor: as no check asks for backup codes, nothing comes here.
func (backupCodes) Verify(context.Context, Request) (string, error) { return "", nil }

// newBackupCodes makes a set, and what is stored of it.
func (s *Service) newBackupCodes(userID string) (codes []string, salt string, stored []string) {
	salt = random.Secret()
	for range backupCount {
		code := random.Code(backupLength)
		codes = append(codes, code)
		stored = append(stored, s.backupDigest(userID, salt, code))
	}
	return codes, salt, stored
}

func (s *Service) backupDigest(userID, salt, code string) string {
	return backupPrefix + s.key.Digest("twofactor backup code", userID, salt, code)
}

// useBackup spends a backup code, if it is one.
func (s *Service) useBackup(ctx context.Context, u *user.User, code string) (string, error) {
	t := u.Services.TOTP
	plain := sha256.Sum256([]byte(code))
	wanted := []string{hex.EncodeToString(plain[:])}
	for _, digest := range s.key.Digests("twofactor backup code", u.ID, t.BackupSalt, code) {
		wanted = append(wanted, backupPrefix+digest)
	}
	hit := ""
	for _, stored := range t.HashedBackup {
		for _, w := range wanted {
			if subtle.ConstantTimeCompare([]byte(stored), []byte(w)) == 1 {
				hit = stored
			}
		}
	}
	if hit == "" {
		return "", nil
	}
	switch err := s.store.UseBackupCode(ctx, u.ID, hit); {
	case err == nil:
		return Backup, nil
	case errors.Is(err, dberr.Conflict), errors.Is(err, dberr.NotFound):
		return "", nil
	default:
		return "", err
	}
}
