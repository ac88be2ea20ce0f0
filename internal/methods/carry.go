package methods

import (
	"context"
	"fmt"

	"ddpserver/internal/ejson"
	"ddpserver/internal/rpc"
)

// Carrier runs other methods within a call that carries them; *Router has it.
type Carrier interface {
	Carry(ctx context.Context, c *rpc.Call, purpose, method string, params ...any) (any, error)
}

// Carry runs a method as a part of the call that carries it, under the method's own line:
// its limit, its enrolment, its factor and the administrator's list, its permission, in the
// order of every call. The carrier grants nothing that the method does not. What was accepted
// for the call before counts, and the record of the call names the method. purpose is the
// method that a code is asked for, the same for all that one call carries (Spec.Carrying).
func (r *Router) Carry(ctx context.Context, c *rpc.Call, purpose, method string, params ...any) (any, error) {
	target, known := r.specs[method]
	if !known {
		return nil, fmt.Errorf("methods: %s carries %s, which is no method", c.Method, method)
	}
	raw, err := ejson.Append(nil, params)
	if err != nil {
		return nil, err
	}
	c.Method, c.Params = method, raw
	if err := r.limit(c, target); err != nil {
		return nil, err
	}
	target.settle(c)
	if p := r.specs[purpose]; p != nil {
		c.Purpose = p.purpose()
	}
	return r.settled(ctx, c, target)
}

// settle writes what the line says into the call, and the purpose of what it carries.
func (r *Router) settle(c *rpc.Call, spec *Spec) {
	spec.settle(c)
	if spec.Carrying == nil {
		return
	}
	if p := r.specs[spec.Carrying(c)]; p != nil {
		c.Purpose = p.purpose()
	}
}
