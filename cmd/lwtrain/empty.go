package main

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
