package web

// Base names the state of a draft, as its page does.
var Base = base

// Routes are the method and the path of everything that the site answers.
func Routes() (all [][2]string) {
	for _, r := range routes {
		all = append(all, [2]string{r.method, r.path})
	}
	return all
}
