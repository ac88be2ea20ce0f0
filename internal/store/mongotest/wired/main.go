// Command wired runs the MongoDB server of the tests on its own, so that a
// person without MongoDB can try the program on a MongoDB-compatible server.
// It keeps everything in memory and forgets it at the end.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"ddpserver/internal/store/mongotest"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:27018", "address to listen on")
	flag.Parse()
	s, err := mongotest.Listen(*addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "wired:", err)
		os.Exit(1)
	}
	fmt.Printf("MongoDB-compatible test server, in memory only. MONGO_URL=mongodb://%s/ddpserver\n", s.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	_ = s.Close()
}
