// Package web is the HTTP side of the program: the public listener with its
// time-outs and response headers, the handlers mounted below ROOT_URL's path,
// health checks, and the private listener for metrics and profiles. It answers two
// questions about a request: which address the client has, and whether the page it
// comes from may connect. It also serves the page to which links in mails lead.
//
// It knows no user, no store and no protocol; what is mounted comes from
// internal/app. It ends no WebSocket connection: the engine does that.
package web
