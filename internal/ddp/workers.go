package ddp

import "runtime"

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

// maxPosted bounds the sessions that wait for a poster.
const maxPosted = 1024

// post has the session's posted messages written soon. Who posts faster than
// the posters write writes itself.
func (s *Server) post(se *Session) {
	s.posting.Do(func() {
		for range runtime.GOMAXPROCS(0) {
			s.done.Add(1)
			go s.poster()
		}
	})
	select {
	case s.posted <- se:
	default:
		se.out.flushPosted()
	}
}

func (s *Server) poster() {
	defer s.done.Done()
	for {
		select {
		case se := <-s.posted:
			se.out.flushPosted()
		case <-s.ctx.Done():
			return
		}
	}
}
