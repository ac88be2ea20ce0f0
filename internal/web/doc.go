// Package web is the HTTP side of the program: the public listener with its
// patience and its headers, the mounts below ROOT_URL's prefix, health, the
// private listener for metrics and profiles, and the two judgements that need
// only a request: which address a client has, and whether a page's origin may
// connect. It also serves the page to which links in mails lead.
//
// It knows no user, no store and no protocol; what is mounted comes from
// internal/app. It ends no WebSocket connection: the engine does that.
package web
