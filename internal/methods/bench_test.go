package methods_test

import (
	"testing"

	"ddpserver/internal/methods"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
)

// BenchmarkInvoke is one call through the whole pipeline, without a socket: the
// cheapest one, and one that reads its caller's account from the store.
func BenchmarkInvoke(b *testing.B) {
	w := newWorld(b)
	for _, id := range []string{settings.LimitIPRequests, settings.LimitUserRequests, settings.LimitConnectionRequests,
		settings.LimitUserByMethodRequests, settings.LimitConnectionMethodRequests} {
		w.set(id, 100_000_000)
	}
	u := w.user("ada")
	peer := &rpc.Peer{Conn: "bench", Door: rpc.DDP, Address: "192.0.2.1"}
	issued, err := w.accounts.IssueToken(b.Context(), peer, u, "password")
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	quiet := methods.New(methods.Deps{
		Accounts: w.accounts, TwoFactor: w.factors, Settings: w.settings, Limiter: w.limiter, Audit: &w.trail,
	})
	for _, method := range []string{"getServerTime", "getServerInfo", "nope"} {
		b.Run(method, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c := rpc.Call{Method: method, Peer: peer, Login: issued.Login()}
				if _, err := quiet.Method(ctx, &c); err != nil && method != "nope" {
					b.Fatal(err)
				}
			}
		})
	}
}
