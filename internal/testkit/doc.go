// Package testkit wires the services of the server for tests, in one place: an
// option that a service gets is set here and nowhere else.
//
// It has three layers, and a test takes the lowest that it needs:
//
//   - Ground: a real embedded store, its settings, the key, and boxes that keep what
//     leaves the server (mails, audit events, news). It makes services one by one
//     (NewPasswords, NewFactors, NewAccounts), each with whatever options the test changes.
//   - World: all services on one ground, the router, the publications and the
//     engine, with clients on in-memory connections. Conversations are played here.
//   - API: the REST door of a world, over an in-memory listener.
//
// All of it works in fake time (testing/synctest), where waiting costs nothing.
// With the build tag norooms a world has no rooms (WithRooms), with notrail no copy of the audit stream (WithTrail).
//
// It is test code: nothing of it is linked into the program. Nothing is replaced by
// a stand-in but what is outside the server, which are the boxes.
package testkit
