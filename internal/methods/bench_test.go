package methods_test

import (
	"testing"

	"ddpserver/internal/methods"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// BenchmarkInvoke is one call through the whole pipeline, without a socket: the
// cheapest one, and one that reads its caller's account from the store.
func BenchmarkInvoke(b *testing.B) {
	w := newWorld(b)
	for _, id := range []string{settings.LimitIPRequests, settings.LimitUserRequests, settings.LimitConnectionRequests,
		settings.LimitUserByMethodRequests, settings.LimitConnectionMethodRequests} {
		w.Set(id, 100_000_000)
	}
	u := w.User("ada")
	peer := &rpc.Peer{Conn: "bench", Door: rpc.DDP, Address: "192.0.2.1"}
	issued, err := w.Accounts.IssueToken(b.Context(), peer, u, "password")
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	quiet := w.NewRouter(func(d *methods.Deps) { d.Logger, d.Metrics = nil, nil })
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

// BenchmarkResume is a login with a token over a connection that is open, as every
// client does when it comes back, from the frame to its result.
func BenchmarkResume(b *testing.B) {
	for name, open := range map[string]func() testkit.Store{
		"sqlite": func() testkit.Store { return testkit.OpenStore(b) },
		"mongo":  func() testkit.Store { db, _ := openMongo(b, nil); return db },
	} {
		b.Run(name, func(b *testing.B) {
			w := newNode(b, "n1", open(), nil, nil)
			w.Unlimited()
			w.User("ada")
			first := w.As("ada")
			first.Close()
			c := w.Connect()
			b.ReportAllocs()
			for b.Loop() {
				c.Resume(first)
				c.Other = nil
			}
		})
	}
}
