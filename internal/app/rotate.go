package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"ddpserver/internal/config"
	"ddpserver/internal/secret"
	"ddpserver/internal/serverkey"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/sqlite"
)

// checkKey refuses a key with which the data was not sealed: nothing could be
// opened, and every right code would count as wrong.
func (a *App) checkKey(ctx context.Context) error {
	pending, err := serverkey.Check(ctx, a.store, a.key)
	if err != nil {
		return explainKey(a.cfg, err)
	}
	if pending {
		a.log.Warn("key_rotation_pending", zap.String("hint",
			"the data is sealed with ENCRYPTION_KEY_OLD still: run ddpserver rotate-key, and leave ENCRYPTION_KEY_OLD out afterwards"))
	}
	return nil
}

// explainKey says where the key came from and what to do about a wrong one.
func explainKey(c *config.Config, err error) error {
	if !errors.Is(err, serverkey.ErrOtherKey) {
		return err
	}
	from := "ENCRYPTION_KEY (or the file of ENCRYPTION_KEY_FILE)"
	if c.EncryptionKey == "" {
		from = "ENCRYPTION_KEY: it is not set, and the key in " + filepath.Join(c.DataDir, keyName)
	}
	return fmt.Errorf("%s does not open what is stored, %w: put the right key back; to change the key on purpose, set ENCRYPTION_KEY_OLD (or "+
		"ENCRYPTION_KEY_OLD_FILE) to the one of before and run ddpserver rotate-key", from, err)
}

// CheckKey compares the key of the configuration with the stored data, if there
// is some, and makes and changes nothing. A MongoDB that does not answer is no
// problem of the configuration.
func CheckKey(ctx context.Context, c *config.Config) error {
	if c.EncryptionKey == "" {
		if _, err := os.Stat(filepath.Join(c.DataDir, keyName)); c.MongoURL != "" || err != nil {
			return nil // nothing there yet, or Check has told
		}
	}
	var stored string
	var err error
	if u := c.MongoURL.Reveal(); u != "" {
		stored, err = mongo.KeyCheck(ctx, u)
	} else {
		stored, err = sqlite.KeyCheck(ctx, c.DataDir)
	}
	if err != nil || stored == "" {
		return nil // a start says why it cannot be read
	}
	key, err := serverKey(c)
	if err != nil {
		return err
	}
	if err := serverkey.Right(stored, key); err != nil {
		return explainKey(c, err)
	}
	return nil
}

// RotateKey seals everything with ENCRYPTION_KEY that ENCRYPTION_KEY_OLD opens;
// see serverkey.Rotate. On MongoDB it works beside running nodes that have both
// keys; the embedded store belongs to one process, so its server must be stopped.
func RotateKey(ctx context.Context, c *config.Config, log *zap.Logger) (r serverkey.Report, err error) {
	if problems, _ := Check(c); len(problems) > 0 {
		return r, config.Problems(problems)
	}
	if c.EncryptionKeyOld == "" {
		return r, errors.New("ENCRYPTION_KEY_OLD: it is missing; set it to the key of before, and ENCRYPTION_KEY to the new one (openssl rand -base64 32 makes one)")
	}
	var key *secret.Key
	if key, err = serverKey(c); err != nil {
		return r, err
	}
	if c.MongoURL == "" {
		if _, err := os.Stat(filepath.Join(c.DataDir, sqlite.FileName)); err != nil {
			return r, explainDir(c.DataDir, err)
		}
	}
	st, err := openStore(ctx, c, true, log, nil)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if r, err = serverkey.Rotate(ctx, st, key); err != nil {
		return r, explainKey(c, err)
	}
	return r, nil
}
