package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"ddpserver/internal/config"
	"ddpserver/internal/telemetry"
)

// command is one thing the program can do. words are what is typed.
type command struct {
	words   string
	summary string
	args    string // shown behind the words in the usage line
	help    string // shown above the flags
	run     func(*program, []string) int
}

// commands is the table; a function, because help needs it as well.
func commands() []command {
	return []command{
		{"serve", "Run the server (the default).", "[flags]", serveHelp, (*program).serve},
		{"user create", "Make an account, with the server running or not.", "--username NAME --email ADDRESS --password-stdin [flags]", userCreateHelp,
			(*program).userCreate},
		{"rotate-key", "Seal everything anew with ENCRYPTION_KEY; the old key is ENCRYPTION_KEY_OLD.", "[flags]", rotateKeyHelp, (*program).rotateKey},
		{"check-config", "List everything that is wrong with the configuration; make nothing.", "[--send-test TO] [flags]", checkConfigHelp,
			(*program).checkConfig},
		{"adopt", "Tell what a server makes of the database of a Meteor app or of Rocket.Chat; change nothing.", "--check [flags]", adoptHelp, (*program).adopt},
		{"healthcheck", "Ask a running server whether it is ready; exit 1 when it is not.", "[flags]", "", (*program).healthcheck},
		{"version", "Print the version.", "", "", (*program).version},
		{"help", "Print this text.", "", "", (*program).help},
	}
}

// find picks the command; without one, or with flags first, it is serve.
func find(args []string) (*command, []string) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") && args[0] != "-h" && args[0] != "--help" {
		args = append([]string{"serve"}, args...)
	}
	if args[0] == "-h" || args[0] == "--help" {
		args = append([]string{"help"}, args[1:]...)
	}
	for _, c := range commands() {
		words := strings.Fields(c.words)
		if len(args) >= len(words) && strings.Join(args[:len(words)], " ") == c.words {
			return &c, args[len(words):]
		}
	}
	return nil, args
}

func (p *program) unknown(args []string) int {
	fmt.Fprintf(p.stderr, "ddpserver: there is no command %q; `ddpserver help` lists them\n", strings.Join(args[:min(2, len(args))], " "))
	return exitUsage
}

func (p *program) help([]string) int {
	fmt.Fprint(p.stdout, "ddpserver is a realtime server for Meteor and Rocket.Chat clients\nwith two-factor authentication.\n\nUsage: ddpserver COMMAND "+
		"[flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(p.stdout, "  %-14s %s\n", c.words, c.summary)
	}
	fmt.Fprint(p.stdout, "\n`ddpserver COMMAND --help` tells more. Every flag is also an environment\nvariable (--root-url is ROOT_URL) and a key of the "+
		"configuration file (root_url);\nconfigs/ddpserver.yaml explains them all.\n")
	return exitOK
}

const serveHelp = `
The first start makes the administrator and prints the password once. SIGTERM or
SIGINT stops the server in order, a second one at once; SIGHUP opens the audit
file again after a rotation.
`

const rotateKeyHelp = `
Set ENCRYPTION_KEY to the new key and ENCRYPTION_KEY_OLD to the one of before.
On the embedded store stop the server first; on MongoDB give every node both keys
first, and let them run. A run that broke off is simply started again. When it is
done, take ENCRYPTION_KEY_OLD out.
`

const checkConfigHelp = `
With --send-test one mail goes to that address, and the conversation with the mail
server is printed, secrets blanked. Exit code 1 says that it was not sent.
`

const adoptHelp = `
MONGO_URL names the database, a restored dump and not the live one. What protects
somebody there is honoured, or the account, the room or the start is refused; the
rest is ignored. Exit code 1 says that a server would not start on it.
`

const userCreateHelp = `
The password is the first line of standard input. The account needs no
registration to be open, and starts without a second factor.
`

// parse reads a command's flags and the configuration. ok is false when the
// command is done, with the exit code.
func (p *program) parse(name string, args []string, declare func(*pflag.FlagSet)) (c *config.Config, warnings []string, code int, ok bool) {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.SortFlags = false
	if declare != nil {
		declare(fs)
	}
	config.AddFlags(fs)
	switch err := fs.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		p.usage(name, fs)
		return nil, nil, exitOK, false
	case err != nil:
		fmt.Fprintf(p.stderr, "ddpserver %s: %v; `ddpserver %s --help` lists the flags\n", name, err, name)
		return nil, nil, exitUsage, false
	case fs.NArg() > 0:
		fmt.Fprintf(p.stderr, "ddpserver %s: %q is one word too many; `ddpserver %s --help` lists the flags\n", name, fs.Arg(0), name)
		return nil, nil, exitUsage, false
	}
	c, warnings, err := config.Load(config.Source{Environ: p.environ, Flags: fs})
	if err != nil {
		return nil, nil, p.fail(err), false
	}
	return c, warnings, exitOK, true
}

func (p *program) usage(name string, fs *pflag.FlagSet) {
	for _, c := range commands() {
		if c.words == name {
			fmt.Fprintf(p.stdout, "%s\n\nUsage: ddpserver %s %s\n%s\nFlags:\n%s", c.summary, c.words, c.args, c.help, fs.FlagUsages())
		}
	}
}

// fail writes one line for each problem, or one record of the log, and returns the
// exit code.
func (p *program) fail(err error) int {
	log := zap.NewNop()
	if p.records {
		if l, _, made := telemetry.NewLogger(telemetry.LogOptions{Level: "error", Format: telemetry.JSON, Out: p.stderr}); made == nil {
			log = l
		} else {
			p.records = false
		}
	}
	defer log.Sync()
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); p.records && line != "" {
			log.Error("failed", zap.String("hint", line))
		} else if line != "" {
			fmt.Fprintf(p.stderr, "ddpserver: %s\n", line)
		}
	}
	return exitError
}
