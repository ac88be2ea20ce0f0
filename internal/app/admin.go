//go:build !noadmin

package app

import (
	"ddpserver/internal/admin"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
)

// adminSlice is the panel of administration: a part of the program that the build tag
// noadmin leaves out (admin_none.go).
type adminSlice struct{ slice *admin.Slice }

func (a *App) openAdmin() adminSlice {
	return adminSlice{admin.New(admin.Options{Accounts: a.accounts, Settings: a.settings, Hub: a.hub})}
}

func (s adminSlice) calls() ([]methods.Slice, []rest.Group) {
	return []methods.Slice{s.slice.Methods}, s.slice.Routes()
}

func (s adminSlice) streams() []realtime.Group { return []realtime.Group{s.slice.Streams()} }
