package sockjs

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// receiving is one request that fetches a session's frames.
type receiving struct {
	w       http.ResponseWriter
	control *http.ResponseController
	format  format
	timeout time.Duration
	left    int // bytes of frames until the response is ended

	wake    chan struct{} // one pending wake-up
	writing bool          // a frame is on its way; guarded by the session's lock
}

// format is how one transport wraps frames.
type format struct {
	contentType string
	// prelude opens a streaming response.
	prelude []byte
	// frame wraps one frame.
	frame func(dst, frame []byte) []byte
	// once ends the response after one frame: polling.
	once bool
}

// receiver is the route of a transport's receiving end.
func (h *Handler) receiver(p place, f format) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		noStore(w.Header())
		s, status := h.session(p.session, r, true)
		if s == nil {
			refuseSession(w, status)
			return
		}
		h.receive(w, r, s, f)
	}
}

func refuseSession(w http.ResponseWriter, status int) {
	if status == http.StatusNotFound {
		refuse(w, status, "404 Error: Page not found\n")
		return
	}
	refuse(w, status, "Too many connections\n")
}

// receive sends frames until the response is full, the session ends or the peer
// leaves.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, s *session, f format) {
	rc := &receiving{
		w: w, control: http.NewResponseController(w), format: f,
		timeout: h.o.WriteTimeout, left: h.o.ResponseLimit, wake: make(chan struct{}, 1),
	}
	// The server's deadlines are for requests that are answered at once.
	_ = rc.control.SetReadDeadline(time.Time{})
	// The server notices that a peer has left only once the body is read.
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxReceiverBody))
	w.Header().Set("Content-Type", f.contentType)
	if !f.once {
		unbuffered(w.Header())
	}
	if err := rc.send(f.prelude); err != nil {
		h.unheard(s)
		return
	}
	first, refusal := s.attach(rc)
	if refusal != nil {
		_ = rc.sendFrame(refusal)
		return
	}
	if first {
		if err := rc.sendFrame([]byte(openFrame)); err != nil {
			s.drop()
			return
		}
		s.opened()
		if f.once {
			s.detach(rc)
			return
		}
	}
	if s.pump(r, rc, &h.o) {
		s.detach(rc)
	} else {
		s.drop()
	}
}

// maxReceiverBody is how much of a body is read that should be empty.
const maxReceiverBody = 4 << 10

// unheard drops a session that was made for a request which died at once.
func (h *Handler) unheard(s *session) {
	s.mu.Lock()
	unborn := s.phase == fresh && s.receiver == nil
	s.mu.Unlock()
	if unborn {
		s.drop()
	}
}

// attach makes rc the session's receiver. first says that it has to send the
// open frame; refusal is the frame to send instead of everything.
func (s *session) attach(rc *receiving) (first bool, refusal []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.receiver != nil:
		return false, closeFrame(codeStillOpen, "Another connection still open")
	case s.phase == gone:
		return false, closeFrame(1002, "Connection interrupted")
	case s.phase == closed:
		s.arm(min(toldDelay, s.h.o.DisconnectDelay))
		return false, s.last
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.receiver = rc
	return s.phase == fresh, nil
}

// opened starts the engine after the open frame, unless the session was
// dropped meanwhile.
func (s *session) opened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != fresh {
		return
	}
	s.phase = open
	// Under the lock that drop takes too: Shutdown waits only after its drops.
	s.h.done.Add(1)
	go s.serve()
}

// detach leaves the session to the next receiver.
func (s *session) detach(rc *receiving) {
	s.mu.Lock()
	if s.receiver == rc {
		s.receiver = nil
		delay := s.h.o.DisconnectDelay
		if s.phase == closed {
			delay = min(delay, toldDelay)
		}
		s.arm(delay)
	}
	s.mu.Unlock()
}

// pump sends what there is. It returns false when the peer is gone.
func (s *session) pump(r *http.Request, rc *receiving, o *Options) bool {
	heartbeat := o.Heartbeat
	timer, life := time.NewTimer(heartbeat), time.NewTimer(o.ReceiverLife)
	defer timer.Stop()
	defer life.Stop()
	for {
		more, sent, ok := s.sendNext(rc)
		if !ok || !more {
			return ok
		}
		if sent {
			timer.Reset(heartbeat)
			continue
		}
		select {
		case <-rc.wake:
		case <-r.Context().Done():
			return false
		case <-life.C:
			return true
		case <-timer.C:
			if rc.sendFrame([]byte(heartbeatFrame)) != nil {
				return false
			}
			if rc.format.once {
				return true
			}
			timer.Reset(heartbeat)
		}
	}
}

// sendNext sends the waiting frame or the close frame, if there is one.
func (s *session) sendNext(rc *receiving) (more, sent, ok bool) {
	s.mu.Lock()
	if s.phase >= closed {
		last, over := s.last, s.phase == gone
		s.mu.Unlock()
		if over {
			return false, false, false
		}
		return false, true, rc.sendFrame(last) == nil
	}
	if s.out == nil {
		s.mu.Unlock()
		return true, false, true
	}
	frame := s.out
	rc.writing = true
	s.mu.Unlock()
	err := rc.sendFrame(frame)
	s.mu.Lock()
	rc.writing = false
	if err == nil {
		s.out = nil
	}
	s.cond.Broadcast()
	s.mu.Unlock()
	return !rc.format.once && rc.left > 0, true, err == nil
}

// sendFrame wraps and sends one frame and counts it.
func (rc *receiving) sendFrame(frame []byte) error {
	b := getBuffer()
	*b = rc.format.frame((*b)[:0], frame)
	rc.left -= len(*b)
	err := rc.send(*b)
	putBuffer(b)
	return err
}

// send writes and flushes within the write time limit.
func (rc *receiving) send(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_ = rc.control.SetWriteDeadline(time.Now().Add(rc.timeout))
	if _, err := rc.w.Write(p); err != nil {
		return err
	}
	if err := rc.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	// Between frames a response may be silent for as long as it likes.
	_ = rc.control.SetWriteDeadline(time.Time{})
	return nil
}
