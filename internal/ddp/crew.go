package ddp

import "sync"

// crew lets the goroutines that work for sessions go from one session to the
// next. A new goroutine starts on the smallest stack and copies it three or four
// times on its way down into a database; one that waits for its next job has its
// stack already. The last one to wait is the first to go, so a quiet server's
// others stay untouched and the collector shrinks their stacks. Without any
// session nobody waits.
type crew struct {
	mu      sync.Mutex
	open    bool // there are sessions
	waiting []chan job
}

// maxWaiting bounds the goroutines that wait for a job.
const maxWaiting = 32

// job is a part of a session's work; without a session it says: go home.
type job struct {
	s     *Session
	leave bool // the end of the session, else its queue
}

func (j job) do() {
	if j.leave {
		j.s.leave()
	} else {
		j.s.work()
	}
}

// employ has the job done by somebody who waits, or else by a new goroutine,
// which Shutdown waits for.
func (s *Server) employ(j job) {
	c := &s.crew
	c.mu.Lock()
	if last := len(c.waiting) - 1; last >= 0 {
		next := c.waiting[last]
		c.waiting = c.waiting[:last]
		c.mu.Unlock()
		next <- j
		return
	}
	c.mu.Unlock()
	s.done.Add(1)
	go s.worker(j)
}

// worker does jobs until nobody needs it.
func (s *Server) worker(j job) {
	defer s.done.Done()
	var next chan job
	for j.s != nil {
		j.do()
		if next == nil {
			next = make(chan job, 1)
		}
		if !s.crew.wait(next) {
			return
		}
		j = <-next
	}
}

// wait puts a worker on the list; false when it is not needed.
func (c *crew) wait(next chan job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open || len(c.waiting) >= maxWaiting {
		return false
	}
	c.waiting = append(c.waiting, next)
	return true
}

// set opens the crew with the first session and sends everybody home with the last.
func (c *crew) set(open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = open
	if open {
		return
	}
	for i, next := range c.waiting {
		next <- job{} // has room: whoever waits has nothing to do
		c.waiting[i] = nil
	}
	c.waiting = c.waiting[:0]
}
