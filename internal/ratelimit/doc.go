// Package ratelimit counts calls in fixed windows and says when enough is
// enough: Meteor's and Rocket.Chat's DDP rules, the REST rule, and budgets that
// other packages name themselves (docs/wire/ddp.md C, docs/wire/rocketchat.md 5.5).
//
// Counters live in memory of one node, in bounded tables. It knows no protocol,
// no settings and no users, and stores nothing; budgets that must survive a
// restart belong to package twofactor and its store.
package ratelimit
