package ws_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/ddp/ws"
)

// The benchmarks come in pairs: the engine, and beside it a bare gorilla echo
// over the same sockets (…/floor), so that what counts is their ratio.

// floorEcho sends each message back and does nothing else: one goroutine, a
// small read buffer, pooled write buffers.
func floorEcho() http.Handler {
	up := websocket.Upgrader{ReadBufferSize: 512, WriteBufferSize: 1024, WriteBufferPool: &sync.Pool{}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		go func() {
			defer client.Close()
			for {
				kind, b, err := client.ReadMessage()
				if err != nil || client.WriteMessage(kind, b) != nil {
					return
				}
			}
		}()
	})
}

// BenchmarkEcho is one call through the whole stack over a real socket: frame,
// scan, order, handler, result and updated.
func BenchmarkEcho(b *testing.B) {
	const call = `{"msg":"method","id":"1","method":"echo","params":["hello",{"a":1}]}`
	for _, kind := range []string{"floor", "engine", "engine-queued"} {
		b.Run(kind, func(b *testing.B) {
			var handler http.Handler = floorEcho()
			text, answers := call, 1
			if kind != "floor" {
				srv := ddp.New(ddp.Options{Handler: &ddptest.Fixture{}})
				b.Cleanup(func() { _ = srv.Shutdown(context.Background()) })
				handler, answers = ws.New(ws.Options{Engine: srv}), 2
				if kind == "engine-queued" {
					text = strings.Replace(call, "echo", "decoded", 1)
				}
			}
			url := benchServer(b, handler)
			client := dialWS(b, websocket.DefaultDialer, url, nil)
			_ = client.SetReadDeadline(time.Time{})
			if kind != "floor" {
				say(b, client, websocket.TextMessage, hello)
				hear(b, client, "")
			}
			b.ReportAllocs()
			for b.Loop() {
				say(b, client, websocket.TextMessage, text)
				for range answers {
					if _, _, err := client.NextReader(); err != nil {
						b.Fatal(err)
					}
				}
			}
			client.Close()
		})
	}
}

func benchServer(b *testing.B, h http.Handler) (url string) {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	web := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		_ = web.Serve(ln)
		close(done)
	}()
	b.Cleanup(func() {
		_ = web.Close()
		<-done
	})
	return "ws://" + ln.Addr().String()
}

// BenchmarkIdle holds 10,000 idle connections in a process of its own and
// reports its resident bytes for each, beside the floor.
func BenchmarkIdle(b *testing.B) {
	const connections = 10_000
	for _, kind := range []string{"floor", "engine"} {
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(idleBytes(b, kind, connections), "B/conn")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func idleBytes(b *testing.B, kind string, connections int) float64 {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), idleServer+"="+kind)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		in.Close()
		_ = cmd.Wait()
	}()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	url := "ws://" + strings.TrimSpace(addr)
	var clients []*websocket.Conn
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	open := func(n int) {
		for range n {
			d := websocket.Dialer{ReadBufferSize: 256, WriteBufferSize: 256, NetDial: func(network, addr string) (net.Conn, error) {
				source := net.IPv4(127, 0, 1, byte(1+len(clients)%250)) // spread, so that ports do not run out
				return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: source}}).Dial(network, addr)
			}}
			client, _, err := d.Dial(url, nil)
			if err != nil {
				b.Fatal(err)
			}
			say(b, client, websocket.TextMessage, hello)
			hear(b, client, "")
			clients = append(clients, client)
		}
	}
	open(10)
	before := resident(b, cmd.Process.Pid)
	open(connections)
	return float64(resident(b, cmd.Process.Pid)-before) / float64(connections)
}

// resident is a process's resident memory in bytes.
func resident(b *testing.B, pid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("needs /proc")
	}
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")))
			if err != nil {
				b.Fatal(err)
			}
			return kib << 10
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// idleServer names the environment variable that makes the test binary a server
// until its standard input ends.
const idleServer = "DDP_IDLE_SERVER"

func serveIdle(kind string) {
	var h http.Handler = floorEcho()
	if kind == "engine" {
		h = ws.New(ws.Options{Engine: ddp.New(ddp.Options{Handler: &ddptest.Fixture{}})})
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(1)
	}
	fmt.Println(ln.Addr())
	go func() { _ = (&http.Server{Handler: h, ReadHeaderTimeout: time.Minute}).Serve(ln) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
}
