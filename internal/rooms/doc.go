// Package rooms is the domain of rooms, subscriptions, messages and presence, in
// Rocket.Chat's shapes: who may read, write, edit, delete, pin and react, what
// is counted, and which news goes out (docs/wire/clients.md 4 and 5).
//
// A file is part of the message that has it: whoever may read that reads the file, and it
// goes with it. Its bytes are in a blob.Store.
//
// Every rule is here once; the DDP methods and the REST routes only translate.
// A room is read and written by its members alone; a public channel may be
// found, described and joined by everybody who is logged in.
//
// The package knows no protocol engine, no sessions and no store: it speaks to
// a Store (store.go) and hands news to a feed.Publisher. It sends no mail and
// has no threads, no discussions and no end-to-end encryption.
package rooms
