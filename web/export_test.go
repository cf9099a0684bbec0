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

// Endpoints are the method and the path of every route of the API, with its id in the OpenAPI document.
func Endpoints() (all [][3]string) {
	for _, r := range endpoints {
		all = append(all, [3]string{r.method, r.path, r.id})
	}
	return all
}
