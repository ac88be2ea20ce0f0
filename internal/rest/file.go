package rest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// fileStall is how long a client may take for one piece of a file.
const fileStall = 30 * time.Second

// file answers a file while it is made. What holds it up is the client, for a while.
func (s *Server) file(w http.ResponseWriter, req *Request, f File) {
	h := w.Header()
	h.Set("Content-Type", f.Type+"; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+f.Name+`"`)
	ctx := req.HTTP.Context()
	if err := f.Write(ctx, &pieces{ctx: ctx, server: s, req: req, w: w, c: http.NewResponseController(w)}); err != nil {
		s.logger.Warn("rest_file_cut", zap.String("route", req.Method), zap.Error(err))
		panic(http.ErrAbortHandler)
	}
}

// pieces writes a file piece by piece. Each has its own time, and each but the first,
// before which the router has asked, only goes to somebody who may still have it: a file
// takes minutes, in which a login ends or a role is taken.
type pieces struct {
	ctx    context.Context
	server *Server
	req    *Request
	w      http.ResponseWriter
	c      *http.ResponseController
	begun  bool
}

func (p *pieces) Write(b []byte) (int, error) {
	if p.begun {
		if err := p.server.router.Still(p.ctx, p.req.Call, &p.req.route.spec); err != nil {
			return 0, err
		}
	}
	p.begun = true
	// The writer of a test may know no deadlines.
	if err := p.c.SetWriteDeadline(time.Now().Add(fileStall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.w.Write(b)
}
