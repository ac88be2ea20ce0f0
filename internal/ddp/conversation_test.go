package ddp_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
)

// TestConversations plays every case of docs/wire/ddp.md F2 that concerns the
// engine, and what the decisions add to it.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/conversations/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no conversations", err)
	}
	for _, file := range files {
		base := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(base, func(t *testing.T) {
			for _, section := range ddptest.Load(t, file) {
				t.Run(section.Name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						srv := ddp.New(ddp.Options{Handler: &ddptest.Fixture{}})
						t.Cleanup(func() {
							if err := srv.Shutdown(context.Background()); err != nil {
								t.Error(err)
							}
						})
						p := &ddptest.Player{Server: srv}
						p.Play(t, section)
					})
				})
			}
		})
	}
}
