package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"ddpserver/internal/app"
	"ddpserver/internal/secret"
)

// maxPassword bounds what is read from standard input.
const maxPassword = 4096

func (p *program) userCreate(args []string) int {
	var u app.NewUser
	var fromStdin bool
	c, _, code, ok := p.parse("user create", args, func(fs *pflag.FlagSet) {
		fs.StringVar(&u.Username, "username", "", "user name (required)")
		fs.StringVar(&u.Email, "email", "", "address (required)")
		fs.StringVar(&u.Name, "name", "", "display name")
		fs.BoolVar(&u.Verified, "verified", false, "take the address as verified")
		fs.StringArrayVar(&u.Roles, "role", nil, "role: user, bot or admin; may be repeated (default user)")
		fs.BoolVar(&u.Email2FA, "email-2fa", false, "switch the second factor by e-mail on")
		fs.BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input (required)")
	})
	if !ok {
		return code
	}
	var missing []string
	for _, f := range []struct {
		flag  string
		there bool
	}{{"--username", u.Username != ""}, {"--email", u.Email != ""}, {"--password-stdin", fromStdin}} {
		if !f.there {
			missing = append(missing, f.flag)
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(p.stderr, "ddpserver user create: missing %s; `ddpserver user create --help` lists the flags\n", strings.Join(missing, ", "))
		return exitUsage
	}
	password, err := readPassword(p.stdin)
	if err != nil {
		return p.fail(err)
	}
	u.Password = password
	log, _, err := p.logger(c)
	if err != nil {
		return p.fail(err)
	}
	defer log.Sync()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	id, err := app.CreateUser(ctx, c, log, u)
	if err != nil {
		return p.fail(err)
	}
	fmt.Fprintf(p.stdout, "Created user %s with id %s\n", u.Username, id)
	return exitOK
}

// readPassword takes the first line.
func readPassword(r io.Reader) (secret.String, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxPassword+1)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("the password cannot be read from standard input: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	switch {
	case line == "":
		return "", errors.New("the password on standard input is empty: write it on the first line")
	case len(line) > maxPassword:
		return "", fmt.Errorf("the password on standard input is longer than %d bytes", maxPassword)
	}
	return secret.String(line), nil
}
