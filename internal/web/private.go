package web

import (
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"time"

	"go.uber.org/zap"
)

// NewPrivate makes the server of the private listener: /metrics and
// /debug/pprof, for operators only (S120). It has no password, so it
// answers only to a Host that no stranger's name can lead to: an address of the
// connection itself, a loopback one, localhost, or host, which is the one it was
// configured with. Otherwise a page in an operator's browser could read it by
// giving its own name this address (DNS rebinding).
func NewPrivate(metrics http.Handler, host string, logger *zap.Logger) *Server {
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
	guarded := ownHost(host, mux)
	return New(Options{
		Mounts: []Mount{
			{Path: "/metrics", Handler: guarded},
			{Path: "/debug/pprof", Subtree: true, Handler: guarded},
		},
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		Logger:            logger,
	})
}

// ownHost refuses requests for another host.
func ownHost(configured string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ".")
		if !strings.EqualFold(host, "localhost") && (configured == "" || !strings.EqualFold(host, configured)) && !ownAddress(r, host) {
			http.Error(w, "This listener answers to its own address, to localhost and to the host of METRICS_ADDR only.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ownAddress tells whether host is an address of this machine: a loopback one, or
// the one the request came to.
func ownAddress(r *http.Request, host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if ip = ip.Unmap(); ip.IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	return err == nil && at.Addr().Unmap().WithZone("") == ip.WithZone("")
}
