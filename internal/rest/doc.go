// Package rest is the HTTP door: /api/v1, in the shapes of Rocket.Chat's REST
// API, onto the same router, services, limits and second-factor checks as DDP.
//
// A route is one line of a table (see Route): what it is called, who may call
// it, what a body must look like, which factor it asks for, and the function
// that does it. The same table makes the OpenAPI document, so the two cannot
// differ. Handlers return values; this package renders them and every refusal.
//
// It has no rules of its own about users, codes or rooms, and keeps no state
// between requests.
package rest
