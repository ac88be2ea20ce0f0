package user

import "slices"

// Clone returns a copy that shares nothing a caller could change with the
// original. Values of foreign types inside the free-form maps (BSON of foreign
// services) are shared: nobody changes those in place.
func (u *User) Clone() *User {
	c := *u
	c.Emails, c.Roles, c.EmailKeys = slices.Clone(u.Emails), slices.Clone(u.Roles), slices.Clone(u.EmailKeys)
	c.ListKeys = slices.Clone(u.ListKeys)
	c.Active = clonePointer(u.Active)
	c.Profile, c.CustomFields = cloneMap(u.Profile), cloneMap(u.CustomFields)
	c.Services = u.Services.clone()
	return &c
}

func (s *Services) clone() Services {
	c := *s
	c.FactorFields, c.Other = s.FactorFields.clone(), cloneMap(s.Other)
	if p := clonePointer(s.Password); p != nil {
		p.Reset, p.Enroll, p.Earlier = clonePointer(p.Reset), clonePointer(p.Enroll), slices.Clone(p.Earlier)
		c.Password = p
	}
	if s.Resume != nil {
		c.Resume = &Resume{LoginTokens: slices.Clone(s.Resume.LoginTokens)}
		for i := range c.Resume.LoginTokens {
			t := &c.Resume.LoginTokens[i]
			t.AllowedAddresses = slices.Clone(t.AllowedAddresses)
			t.MadeFrom, t.UsedFrom = clonePointer(t.MadeFrom), clonePointer(t.UsedFrom)
		}
	}
	if s.Email != nil {
		c.Email = &Proofs{VerificationTokens: slices.Clone(s.Email.VerificationTokens), Pending: clonePointer(s.Email.Pending)}
	}
	return c
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

func cloneMap(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	c := make(map[string]any, len(m))
	for k, v := range m {
		c[k] = cloneValue(v)
	}
	return c
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return cloneMap(v)
	case []any:
		c := make([]any, len(v))
		for i, e := range v {
			c[i] = cloneValue(e)
		}
		return c
	case []byte:
		return slices.Clone(v)
	}
	return v
}
