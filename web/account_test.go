package web_test

import (
	"net/url"
	"testing"
)

func TestOwnSessions(t *testing.T) {
	w := newWorld(t, shop())
	here, there := w.as(t, "ann"), w.as(t, "ann")
	rob := w.as(t, "rob")
	here.get("/account")
	here.wants(200, "this one", "End all others")
	there.get("/account")
	id := there.value("session") // of here, as there sees it
	rob.post("/account/sessions/end", url.Values{"session": {id}})
	rob.wants(404)
	here.get("/account")
	here.wants(200, "ann")
	there.post("/account/sessions/end", url.Values{"session": {id}})
	there.wants(200, "must sign in again")
	here.get("/account")
	here.wants(200, `id="sign-in"`)
	third := w.as(t, "ann")
	third.post("/account/sessions/end", url.Values{"others": {"yes"}})
	third.wants(200, "this one")
	third.lacks("end-others")
	there.get("/account")
	there.wants(200, `id="sign-in"`)
	rob.post("/account/sessions/end", url.Values{"session": {"zz"}})
	rob.wants(404)
}
