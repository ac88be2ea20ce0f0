package app

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ddpserver/internal/config"
	"ddpserver/internal/secret"
	"ddpserver/internal/store/sqlite"
)

// keyName is the file of the server key in the data directory.
const keyName = "server.key"

// serverKey takes the key of the configuration or, on the embedded store, the
// one in the data directory, which is made when the directory is new. A
// directory with a database and without its key is refused: a fresh key could
// not open what the old one sealed, and nobody would notice until a login fails.
func serverKey(c *config.Config) (*secret.Key, error) {
	key, err := currentKey(c)
	if err != nil || c.EncryptionKeyOld == "" {
		return key, err
	}
	old, err := parseKey("ENCRYPTION_KEY_OLD", c.EncryptionKeyOld.Reveal())
	if err != nil {
		return nil, err
	}
	return key.WithOld(old), nil
}

func currentKey(c *config.Config) (*secret.Key, error) {
	if text := c.EncryptionKey.Reveal(); text != "" {
		return parseKey("ENCRYPTION_KEY", text)
	}
	if c.MongoURL != "" { // config.Load refuses this; a second look costs nothing
		return nil, errors.New("ENCRYPTION_KEY: it is missing, and with MONGO_URL there is no other key")
	}
	path := filepath.Join(c.DataDir, keyName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(c.DataDir, sqlite.FileName)); err == nil {
			return nil, fmt.Errorf("ENCRYPTION_KEY: %s is missing, but the database beside it was made with a key: put the file back, or set ENCRYPTION_KEY to the "+
				"key that was used", path)
		}
		text, err = makeKey(c.DataDir, path)
	}
	if err != nil {
		return nil, explainDir(c.DataDir, err)
	}
	return parseKey(path, string(text))
}

func parseKey(name, text string) (*secret.Key, error) {
	raw, err := secret.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; put the right key back", name, err)
	}
	return secret.NewKey(raw)
}

// makeKey writes a new key so that it is there whole or not at all, also when
// two programs start at once: the link fails for the second, which takes the
// first one's key.
func makeKey(dir, path string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".server.key-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	text := base64.StdEncoding.EncodeToString(secret.Generate()) + "\n"
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if d, err := os.Open(dir); err == nil {
		err = errors.Join(d.Sync(), d.Close())
		if err != nil {
			return nil, err
		}
	}
	return os.ReadFile(path)
}
