// Package natstest runs NATS servers for tests: the real one, within the process. It is
// support for tests and no part of the program.
package natstest

import (
	"net"
	"strconv"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"ddpserver/internal/testwait"
)

// Server is a NATS server that can be stopped and started again on the same port.
type Server struct {
	t    testing.TB
	opts server.Options
	s    *server.Server
}

// Start starts a server on a free port, which ends with the test. change may be nil.
func Start(t testing.TB, change func(*server.Options)) *Server {
	t.Helper()
	s := &Server{t: t, opts: server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true}}
	if change != nil {
		change(&s.opts)
	}
	s.Restart()
	s.opts.Port = s.s.Addr().(*net.TCPAddr).Port
	t.Cleanup(s.Stop)
	return s
}

// Addr is host and port of the server, also while it is stopped.
func (s *Server) Addr() string { return net.JoinHostPort(s.opts.Host, strconv.Itoa(s.opts.Port)) }

// URL is the address of the server without a user.
func (s *Server) URL() string { return "nats://" + s.Addr() }

// Stop ends the server and all connections.
func (s *Server) Stop() {
	if s.s != nil {
		s.s.Shutdown()
		s.s.WaitForShutdown()
		s.s = nil
	}
}

// Restart starts the server that was stopped, on the same port.
func (s *Server) Restart() {
	s.t.Helper()
	opts := s.opts // the server keeps what it is given
	running, err := server.NewServer(&opts)
	if err != nil {
		s.t.Fatal(err)
	}
	go running.Start()
	if !running.ReadyForConnections(testwait.Limit) {
		s.t.Fatal("the NATS server does not start")
	}
	s.s = running
}

// Subscriptions is how many subscriptions the server has.
func (s *Server) Subscriptions() int { return int(s.s.NumSubscriptions()) }
