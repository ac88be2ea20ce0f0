package rest

// Compile compiles what the route checks with, which a server does when it is needed.
func (rt *Route) Compile() error {
	for _, c := range []*checker{rt.body, rt.query} {
		if c == nil {
			continue
		}
		if _, err := c.compiled(); err != nil {
			return err
		}
	}
	return nil
}
