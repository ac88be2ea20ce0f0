package methods

import "ddpserver/internal/twofactor"

// factorCalls serves the methods that the second factors bring along.
type factorCalls struct{ factors *twofactor.Service }

func (g *factorCalls) Specs() []Spec {
	var list []Spec
	for _, c := range g.factors.FactorCalls() {
		if c.Method == "" {
			continue
		}
		list = append(list, Spec{
			Name: c.Method, Action: c.Action, Do: c.Do, Effects: c.Effects, Factor: c.Asks, Inside: c.Inside, Instead: c.Instead,
			Anonymous: c.Anonymous, Enrolment: !c.Late, Enrols: c.Enrols, Passage: c.Passage,
			Doc: c.Doc, Params: c.Params, Result: c.Result, Errors: c.Errors,
		})
	}
	return list
}
