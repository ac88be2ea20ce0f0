// Command ddpload measures a DDP server on this machine and compares it with
// the least that such a server can be (see package load).
//
//	ddpload compare -server bin/ddpserver       every figure as a ratio to the floor
//	ddpload calls -url ws://127.0.0.1:3000/websocket -pid PID -conns 100
//	ddpload floor -addr 127.0.0.1:4300
//	ddpload seed -dir DIR -users 10000          users with resume tokens token-0, token-1, …
//
// It talks to loopback addresses only and stops by itself.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"ddpserver/tools/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ddpload:", err)
		os.Exit(1)
	}
}

// scenarios that run against one server.
var scenarios = map[string]func(load.Run, context.Context) (load.Report, error){
	"calls": load.Run.Calls, "connects": load.Run.Connects, "storm": load.Run.Storm, "subs": load.Run.SubUnsub,
	"fanout": load.Run.FanOut, "idle": load.Run.IdleConns, "flood": load.Run.Flood, "slow": load.Run.SlowReader,
}

func usage(w io.Writer) error {
	fmt.Fprintln(w, "usage: ddpload compare | floor | seed | calls | connects | storm | subs | fanout | idle | flood | slow, each with -h")
	return errors.New("say what to measure")
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return usage(out)
	}
	name, args := args[0], args[1:]
	switch name {
	case "floor":
		return floor(ctx, args, out)
	case "seed":
		return seedCommand(ctx, args, out)
	case "compare":
		return compare(ctx, args, out)
	}
	do, ok := scenarios[name]
	if !ok {
		return usage(out)
	}
	r, asJSON, err := flags(name, args)
	if err != nil {
		return err
	}
	rep, err := do(r, ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(out).Encode(rep)
	}
	rep.Print(out)
	return nil
}

// flags reads the options of a scenario.
func flags(name string, args []string) (r load.Run, asJSON bool, err error) {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.StringVar(&r.URL, "url", "ws://127.0.0.1:3000/websocket", "server's WebSocket address (loopback only)")
	fs.IntVar(&r.Server.PID, "pid", 0, "server's process, to measure its CPU and memory")
	fs.IntVar(&r.Conns, "conns", 100, "connections")
	fs.IntVar(&r.InFlight, "inflight", 1, "calls under way on each connection")
	fs.IntVar(&r.Rate, "rate", 0, "calls or logins a second over all connections; 0: as fast as answers come")
	fs.DurationVar(&r.Warm, "warm", time.Second, "time before measuring")
	fs.DurationVar(&r.For, "for", 5*time.Second, "time to measure")
	fs.StringVar(&r.Method, "method", "getServerTime", "method to call")
	fs.StringVar(&r.Params, "params", "[]", "its parameters as a JSON array")
	fs.StringVar(&r.Token, "token", "", "resume token to log in with, %d for the connection's number; empty: logged out")
	fs.IntVar(&r.Users, "users", 10000, "accounts that there are tokens of")
	fs.StringVar(&r.Sub, "sub", "meteor_autoupdate_clientVersions", "publication")
	fs.StringVar(&r.SubParams, "sub-params", "[null]", "its parameters as a JSON array")
	fs.StringVar(&r.Join, "join", "", "joinRoom parameters to call with after the login")
	fs.Func("streams", "collection/event of a stream that each idle connection subscribes to, %d for its number; may be repeated; \"client\" for thirty of a "+
		"Rocket.Chat client, \"shared\" for thirty that all listen to", func(s string) error {
		switch s {
		case "client":
			r.Streams = append(r.Streams, load.ClientStreams()...)
		case "shared":
			r.Streams = append(r.Streams, load.SharedStreams()...)
		default:
			r.Streams = append(r.Streams, s)
		}
		return nil
	})
	fs.IntVar(&r.Burst, "burst", 1, "events published at once")
	fs.StringVar(&r.Publish, "publish", "stream-notify-room", "method that publishes an event")
	fs.StringVar(&r.PublishParams, "publish-params", `["GENERAL/user-activity","user0",["user-typing"],{}]`, "its parameters")
	fs.BoolVar(&r.Deflate, "deflate", false, "offer permessage-deflate")
	fs.BoolVar(&asJSON, "json", false, "print one line of JSON")
	if err := fs.Parse(args); err != nil {
		return r, false, err
	}
	return r, asJSON, load.CheckTarget(r.URL)
}

func floor(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet("floor", flag.ContinueOnError)
	addr := fs.String("addr", "127.0.0.1:4300", "where to listen (loopback only)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := load.CheckTarget("ws://" + *addr); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "floor on %s, process %d\n", ln.Addr(), os.Getpid())
	return load.NewFloor().Serve(ctx, ln)
}

func seedCommand(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet("seed", flag.ContinueOnError)
	dir := fs.String("dir", "", "data directory of an embedded store that no server uses")
	users := fs.Int("users", 10000, "users to make")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		return errors.New("seed: give -dir")
	}
	if err := seed(ctx, *dir, *users); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d users in %s: user0 with token-0 and so on\n", *users, *dir)
	return nil
}

// compare measures every scenario, or those named, against the floor.
func compare(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	server := fs.String("server", "bin/ddpserver", "the server's program")
	rounds := fs.Int("rounds", 3, "rounds; medians are printed")
	measure := fs.Duration("for", 4*time.Second, "time of each measurement")
	users := fs.Int("users", 10000, "users in the store")
	big := fs.Int("idle", 10000, "idle connections")
	only := fs.String("only", "", "scenarios to run, separated by commas; all when empty: "+load.Names(figures(1, false)))
	strict := fs.Bool("strict", false, "exit with an error when a goal is missed")
	if err := fs.Parse(args); err != nil {
		return err
	}
	bench, err := newBench(ctx, *server, *users)
	if err != nil {
		return err
	}
	defer bench.close()
	base := load.Run{Warm: *measure / 4, For: *measure, InFlight: 1, Users: *users}
	var rows []load.Row
	missed := 0
	for _, s := range figures(*big, *measure < time.Second) {
		if *only != "" && !strings.Contains(","+*only+",", ","+s.Name+",") {
			continue
		}
		row, err := load.Compare(ctx, s, *rounds, base, bench.server, bench.floor)
		if err != nil {
			return err
		}
		if !row.OK() {
			missed++
		}
		rows = append(rows, row)
		fmt.Fprintf(os.Stderr, "%s: %.1f %s, ratio %.2f\n", row.Name, row.Server, row.Unit, row.Ratio)
	}
	if start, err := bench.start(ctx, *rounds); err != nil {
		return err
	} else if *only == "" || strings.Contains(","+*only+",", ",start,") {
		rows = append(rows, start...)
	}
	load.Table(out, rows)
	if *strict && missed > 0 {
		return fmt.Errorf("%d goals missed", missed)
	}
	return nil
}
