// Command wsecho sends every WebSocket message back, over the very transport
// the server's sessions use. Conformance suites are pointed at it. It has no
// limits but the length of a message and is not meant to face strangers.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"ddpserver/internal/ddp/ws"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9001", "where to listen")
	compress := flag.Int("compress-above", 0, "negotiate permessage-deflate and compress messages of at least that many bytes; 0: never")
	flag.Parse()
	server := &http.Server{
		Addr:              *addr,
		Handler:           ws.EchoHandler(ws.EchoOptions{CompressAbove: *compress}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	if err := server.ListenAndServe(); err != nil {
		fmt.Fprintln(os.Stderr, "wsecho:", err)
		os.Exit(1)
	}
}
