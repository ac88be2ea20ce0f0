package ddp

import (
	"runtime"
	"sync"
)

// posters write what was posted to many sessions. There are none while nothing
// is posted, one at first, and as many as processors while they are behind.
type posters struct {
	srv *Server

	mu      sync.Mutex
	waiting []*Session
	running int
}

// postBatch is how many sessions a poster takes at once.
const postBatch = 64

// add lets a session's posted frames be written soon. The session is added once
// until then (outbox.posted).
func (p *posters) add(s *Session) {
	p.mu.Lock()
	p.waiting = append(p.waiting, s)
	start := p.running == 0 || len(p.waiting) > p.running*postBatch*4 && p.running < runtime.GOMAXPROCS(0)
	if start {
		p.running++
	}
	p.mu.Unlock()
	if start {
		p.srv.done.Add(1)
		go p.run()
	}
}

func (p *posters) run() {
	defer p.srv.done.Done()
	var batch [postBatch]*Session
	for {
		p.mu.Lock()
		n := copy(batch[:], p.waiting)
		if n == 0 {
			p.running--
			p.waiting = nil
			p.mu.Unlock()
			return
		}
		clear(p.waiting[:n])
		p.waiting = p.waiting[n:]
		p.mu.Unlock()
		for i, s := range batch[:n] {
			s.out.flushPosted()
			batch[i] = nil
		}
	}
}
