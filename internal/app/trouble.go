package app

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"ddpserver/internal/config"
	"ddpserver/internal/secret"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/sqlite"
)

// The functions below turn what kept the server from starting into one line:
// the setting's name, what is wrong, and what to change.

// explainDir is about the data directory.
func explainDir(dir string, err error) error {
	switch {
	case errors.Is(err, sqlite.ErrLocked):
		return fmt.Errorf("DATA_DIR: another server uses %s: stop it, or set DATA_DIR to another directory", dir)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrNotExist),
		errors.Is(err, syscall.EEXIST):
		return fmt.Errorf("DATA_DIR: %s is not writable (%s): make it a directory that this user may write, or set DATA_DIR to another one", dir, cause(err))
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("DATA_DIR: there is no space left in %s: make room, or set DATA_DIR to another directory", dir)
	}
	return fmt.Errorf("DATA_DIR: the database in %s cannot be opened (%s): check the directory, or set DATA_DIR to another one", dir, oneLine(err))
}

// explainMongo is about the database behind MONGO_URL.
func explainMongo(c *config.Config, err error) error {
	if errors.Is(err, mongo.ErrObjectIDs) {
		return fmt.Errorf("MONGO_URL: %w: give those accounts text ids wherever they are named; `ddpserver adopt --check` tells how many there are", err)
	}
	return fmt.Errorf("MONGO_URL: the database cannot be used (%s): check that MongoDB runs there and that the address, user and password are right",
		secret.Scrub(strings.ReplaceAll(oneLine(err), c.MongoURL.Reveal(), "the URL")))
}

// explainAudit is about the file of the audit stream.
func explainAudit(c *config.Config, err error) error {
	return fmt.Errorf("AUDIT_FILE: %s cannot be written (%s): name another file, - for standard output, or off", c.AuditFile, cause(err))
}

// explainListen is about an address to listen on; names are the settings that give it.
func explainListen(names, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: %s is in use by another program: stop it, or choose another port", names, addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s: %s is no address of this machine: choose another one", names, addr)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: listening on %s is not permitted: choose a port above 1023", names, addr)
	}
	var oe *net.OpError
	if errors.As(err, &oe) {
		err = oe.Err
	}
	return fmt.Errorf("%s: cannot listen on %s (%s): choose another address", names, addr, oneLine(err))
}

// cause is the system's own word, without path and operation.
func cause(err error) string {
	var en syscall.Errno
	if errors.As(err, &en) {
		return en.Error()
	}
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return oneLine(err)
}

func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
