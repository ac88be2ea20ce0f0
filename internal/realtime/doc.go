// Package realtime is what the server pushes: publications, streams, and the
// hub that carries events from those who make them to the sessions that listen,
// on this node and on the others that share the database.
//
// The hub never waits for a client: a session that cannot take more is ended by
// the engine. What goes to many sessions is encoded and framed once.
//
// An event is never the authority for anything: who may listen is asked when a
// subscription starts and again when the account changes (Recheck), and what is
// pushed about a user is read anew. The package stores nothing and changes
// nothing.
package realtime
