package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/proctest"
)

// Scenario is one run by name.
type Scenario struct {
	Name string
	// Goal is the ratio to the floor that is to be reached; 0 when the figure
	// itself counts, with Limit.
	Goal  float64
	Limit float64
	Do    func(ctx context.Context, r Run) (Report, error)
	// Adjust changes the run for this scenario; the floor gets the same run
	// unless FloorAdjust is there.
	Adjust, FloorAdjust func(*Run)
	// NoFloor scenarios are measured on the server alone.
	NoFloor bool
}

// Child is a server process of our own.
type Child struct {
	cmd  *exec.Cmd
	URL  string
	done chan error
}

// Start runs a server and waits until its port takes connections.
func Start(ctx context.Context, env []string, port int, name string, args ...string) (*Child, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = io.Discard
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &Child{cmd: cmd, URL: fmt.Sprintf("ws://127.0.0.1:%d/websocket", port), done: make(chan error, 1)}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			continue // what it prints is not ours to keep
		}
		c.done <- cmd.Wait()
	}()
	for range 400 {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			return c, conn.Close()
		}
		select {
		case err := <-c.done:
			return nil, fmt.Errorf("%s ended at once: %w", name, err)
		default:
			wait(ctx, 25*time.Millisecond)
		}
	}
	return nil, errors.Join(fmt.Errorf("%s does not listen on port %d", name, port), c.Stop())
}

// Stop ends the server and waits for it.
func (c *Child) Stop() error {
	_ = c.cmd.Process.Kill()
	<-c.done
	return nil
}

// PID of the server.
func (c *Child) PID() proctest.Process { return proctest.Process{PID: c.cmd.Process.Pid} }

// FreePort is a port of 127.0.0.1 that nothing listens on.
func FreePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// Row is one line of a comparison: medians over the rounds.
type Row struct {
	Name, Unit    string
	Server, Floor float64
	Ratio, Goal   float64
	Limit         float64
	P99           time.Duration
	Last          Report
}

// OK tells whether the goal was reached.
func (r Row) OK() bool {
	switch {
	case r.Last.Failed > 0:
		return false
	case r.Goal > 0:
		return r.Ratio <= r.Goal
	case r.Limit > 0:
		return r.Server <= r.Limit
	}
	return true
}

// Table prints rows in Markdown.
func Table(w io.Writer, rows []Row) {
	fmt.Fprintln(w, "| scenario | figure | server | floor | ratio | goal | p99 | last run | |\n|---|---|---|---|---|---|---|---|---|")
	for _, r := range rows {
		floor, ratio, goal := "–", "–", "–"
		if r.Floor > 0 {
			floor, ratio = fmt.Sprintf("%.1f", r.Floor), fmt.Sprintf("%.2f", r.Ratio)
		}
		switch {
		case r.Goal > 0:
			goal = fmt.Sprintf("≤ %.2f ×", r.Goal)
		case r.Limit > 0:
			goal = fmt.Sprintf("≤ %g", r.Limit)
		}
		verdict := "ok"
		if !r.OK() {
			verdict = "over"
		}
		p99 := "–"
		if r.P99 > 0 {
			p99 = r.P99.String()
		}
		fmt.Fprintf(w, "| %s | %s | %.1f | %s | %s | %s | %s | %s | %s |\n", r.Name, r.Unit, r.Server, floor, ratio, goal, p99, r.Last.note(), verdict)
	}
}

// Compare measures a scenario on the server and on the floor in turn and takes
// medians. start makes fresh processes for each round, so that none profits
// from the other's warm caches.
func Compare(ctx context.Context, s Scenario, rounds int, base Run, startServer, startFloor func() (*Child, error)) (Row, error) {
	row := Row{Name: s.Name, Goal: s.Goal, Limit: s.Limit}
	var servers, floors, ratios []float64
	var tails []time.Duration
	measure := func(start func() (*Child, error), adjust ...func(*Run)) (Report, error) {
		child, err := start()
		if err != nil {
			return Report{}, err
		}
		defer func() { _ = child.Stop() }()
		run := base
		run.URL, run.Server = child.URL, child.PID()
		for _, a := range adjust {
			if a != nil {
				a(&run)
			}
		}
		return s.Do(ctx, run)
	}
	for range rounds {
		rep, err := measure(startServer, s.Adjust)
		if err != nil {
			return row, fmt.Errorf("%s: %w", s.Name, err)
		}
		fig, unit := rep.Figure()
		row.Unit, row.Last = unit, rep
		servers, tails = append(servers, fig), append(tails, rep.P99)
		if s.NoFloor {
			continue
		}
		floor, err := measure(startFloor, s.Adjust, s.FloorAdjust)
		if err != nil {
			return row, fmt.Errorf("%s, floor: %w", s.Name, err)
		}
		f, _ := floor.Figure()
		floors = append(floors, f)
		if f > 0 {
			ratios = append(ratios, fig/f)
		}
	}
	row.Server, row.Floor, row.Ratio = median(servers), median(floors), median(ratios)
	slices.Sort(tails)
	row.P99 = tails[len(tails)/2]
	return row, nil
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// Names joins scenario names for a usage text.
func Names(list []Scenario) string {
	var n []string
	for _, s := range list {
		n = append(n, s.Name)
	}
	return strings.Join(n, " ")
}
