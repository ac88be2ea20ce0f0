// Package ddp is the protocol engine: it speaks Meteor's DDP (versions 1, pre2
// and pre1) with any number of connections and calls a Handler for what they ask.
//
// It does not know users, permissions, databases, rate limits or what any method
// does; it has no sockets (package ws brings WebSockets, package sockjs SockJS,
// each connection as a Conn), does not resume sessions, and does not log calls:
// the Handler does. docs/connection.md follows a message from socket to answer.
//
// # The life of a session
//
//  1. A transport calls Start or Serve with a Conn. One goroutine, the reader,
//     belongs to the connection from now on (Server.run). The session's timer
//     fires if no connect message comes within Limits.Handshake.
//  2. The reader scans each message once (ejson.Scanner), without decoding params. It
//     answers heartbeats, the handshake and what is no message at once. All else
//     gets its turn (inbox.go): a call of a quick method runs on the reader when
//     nothing is before it; otherwise a copy is queued and a worker goroutine
//     runs the queue in order until it is empty. A call that unblocks keeps its
//     goroutine and lets a new worker go on with the queue.
//  3. Handlers return results and errors; the worker encodes result and updated
//     into one buffer. Publications change the view (the merge box) and what
//     becomes visible is encoded into the outbox under the session's lock, so
//     that frames leave in the order of the changes.
//  4. The outbox writes from where the messages are made, without waiting. Only
//     when the transport is behind does a flusher goroutine exist; more than
//     Limits.QueuedBytes waiting ends the session.
//  5. The session ends once (Session.end), with a named DisconnectReason. A
//     worker stops its subscriptions, runs the OnClose functions and
//     Handler.Disconnected, and takes it out of the registry. Calls that still
//     run are not cancelled; what they answer is dropped. The reader finishes
//     the connection (Conn.Finish).
//
// # Goroutines
//
//	reader    one for each connection, as long as it lives
//	worker    while messages are queued, and for a session's end; one more for
//	          each unblocked call; some wait for the next that needs one
//	flusher   while a transport is behind
//	poster    a few for the server, while posted messages wait to be written
//	timer     one of the runtime's for each session, a goroutine while it fires
//
// Server.Shutdown waits for all but timers that fire just then.
//
// # Locks, in the order in which they may be taken
//
//	Server.mu    sessions and addresses
//	Registry.mu  sessions of users
//	Session.mu   login, queue, subscriptions, view, timer
//	outbox.mu    queued bytes
//	posters.mu   sessions with posted messages; nothing is taken under it
//
// No handler, OnStop or OnClose function runs, no connection is written and no
// encoder of foreign values runs while one of them is held.
package ddp
