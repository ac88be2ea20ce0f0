package ejson

func validPattern(p string, unicode bool) bool { return true }
