// Package app is the composition root: it turns a configuration into running
// parts, starts them in order, and stops them in the opposite one.
//
// It holds no rule of its own. What it adds is glue: adapters between packages
// that must not know each other, the server key's file, the first
// administrator, and the words for everything that can keep a server from
// starting.
package app
