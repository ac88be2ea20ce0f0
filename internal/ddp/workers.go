package ddp

import (
	"runtime"
	"sync"
)

// Two kinds of goroutines work for all sessions: workers run queues of messages
// and ends of sessions, posters write what was posted to many. Neither is there
// before it is needed, and Shutdown waits for all.

// job is a part of a session's work.
type job struct {
	s     *Session
	leave bool // the end of the session, else its queue
}

// maxIdle bounds the workers that wait for a job.
const maxIdle = 32

// employ has the job done by a worker that waits for one, or else by a new one.
func (s *Server) employ(j job) {
	select {
	case s.jobs <- j:
	default:
		s.done.Add(1)
		go s.work(j)
	}
}

// work does jobs until the server stops or enough others wait. A new goroutine
// starts on the smallest stack and copies it three or four times on its way down
// into a database; one that waits for its next job has its stack already.
func (s *Server) work(j job) {
	defer s.done.Done()
	for {
		if j.leave {
			j.s.leave()
		} else {
			j.s.work()
		}
		j = job{}
		if s.idle.Add(1) > maxIdle {
			s.idle.Add(-1)
			return
		}
		select {
		case j = <-s.jobs:
			s.idle.Add(-1)
		case <-s.ctx.Done():
			return
		}
	}
}

// posters write what was posted to many sessions. There is none while nothing is
// posted, one at first, and as many as processors while they are behind. They take
// sessions in batches: a channel that hands them over one by one costs a tenth of
// a delivery (BenchmarkFanout).
type posters struct {
	mu      sync.Mutex
	waiting []*Session
	running int
}

// postBatch is how many sessions a poster takes at once.
const postBatch = 64

// post has the session's posted messages written soon. The session is added once
// until then (outbox.posted).
func (s *Server) post(se *Session) {
	p := &s.posters
	p.mu.Lock()
	p.waiting = append(p.waiting, se)
	start := p.running == 0 || len(p.waiting) > p.running*postBatch*4 && p.running < runtime.GOMAXPROCS(0)
	if start {
		p.running++
	}
	p.mu.Unlock()
	if start {
		s.done.Go(p.run)
	}
}

func (p *posters) run() {
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
		for i, se := range batch[:n] {
			se.out.flushPosted()
			batch[i] = nil
		}
	}
}
