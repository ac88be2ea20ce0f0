package rest

// all lists the groups of the core. A new group is one file and one line here.
func all(s *Server) []Group {
	return []Group{
		&login{s},
		&own{s},
		&users{s},
		&factors{s},
		&tokens{s},
		&setting{s},
		&system{s},
		&calls{s},
	}
}
