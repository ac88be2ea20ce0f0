// Package console serves the web console at ROOT_URL: own security page, admin
// panel, and the page that tries calls. Its sources are in /console; what
// `make console` builds of them lies in dist and is embedded, so that the server
// is built with Go alone.
//
// It has no calls of its own and no door to the services: what the console can
// do, it does over DDP and REST as any other client. It keeps no session and
// sets no cookie. Links of mails lead here, too (#/reset-password/TOKEN and the
// like): what stands behind "#" reaches no server and no log.
package console
