package rest

// all lists the groups of the server. A new group is one file and one line here.
func all(s *Server) []Group {
	groups := []Group{
		&login{s},
		&own{s},
		&users{s},
		&factors{s},
		&tokens{s},
		&setting{s},
		&system{s},
		&calls{s},
	}
	if s.o.Chat != nil {
		groups = append(groups, &chatRooms{s}, &chatMessages{s}, &chatOwn{s})
	}
	return groups
}
