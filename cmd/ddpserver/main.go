// Command ddpserver is a realtime server for Meteor and Rocket.Chat clients
// with two-factor authentication: `ddpserver help` lists its commands.
//
// This package reads arguments, sets up the log and the Go runtime, and passes
// signals on; everything else is internal/app.
package main

import (
	"io"
	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // what was asked for could not be done; the reason is on stderr
	exitUsage = 2 // the arguments make no sense
)

// run is the whole program.
func run(args, environ []string, stdin io.Reader, stdout, stderr *os.File) int {
	p := &program{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	c, rest := find(args)
	if c == nil {
		return p.unknown(rest)
	}
	return c.run(p, rest)
}

// program is what a command may use of the process.
type program struct {
	environ []string
	// records says that what goes wrong is told in records of the log's JSON, for
	// programs that read all of standard error.
	records        bool
	stdin          io.Reader
	stdout, stderr *os.File
}
