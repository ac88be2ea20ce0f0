package rest

import (
	"context"
	"net/http"

	"go.uber.org/zap"
)

// file answers a file while it is made. What holds it up is the client, for as long
// as web gives each write.
func (s *Server) file(w http.ResponseWriter, req *Request, f File) {
	h := w.Header()
	h.Set("Content-Type", f.Type+"; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+f.Name+`"`)
	ctx := req.HTTP.Context()
	if err := f.Write(ctx, &pieces{ctx: ctx, server: s, req: req, w: w}); err != nil {
		s.logger.Warn("rest_file_cut", zap.String("route", req.Method), zap.Error(err))
		panic(http.ErrAbortHandler)
	}
}

// pieces writes a file piece by piece. Each but the first, before which the router
// has asked, only goes to somebody who may still have it: a file takes minutes, in
// which a login ends or a role is taken.
type pieces struct {
	ctx    context.Context
	server *Server
	req    *Request
	w      http.ResponseWriter
	begun  bool
}

func (p *pieces) Write(b []byte) (int, error) {
	if p.begun {
		if err := p.server.router.Still(p.ctx, p.req.Call, &p.req.route.spec); err != nil {
			return 0, err
		}
	}
	p.begun = true
	return p.w.Write(b)
}
