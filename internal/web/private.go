package web

import (
	"net/http"
	"net/http/pprof"
	"time"

	"go.uber.org/zap"
)

// NewPrivate makes the server of the private listener: /metrics and
// /debug/pprof, for operators only (spec security S120). It has no password.
func NewPrivate(metrics http.Handler, logger *zap.Logger) *Server {
	if logger == nil {
		logger = zap.NewNop()
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return New(Options{
		Mounts: []Mount{
			{Path: "/metrics", Handler: mux},
			{Path: "/debug/pprof", Subtree: true, Streams: true, Handler: mux},
		},
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		Logger:            logger,
	})
}
