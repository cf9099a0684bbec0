package web

import (
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"remit/identity"
	"remit/persona"
)

// datesForm is the fields of a form that sets until when a persona may be used, as they are typed.
type datesForm struct {
	Expires, Recertify string
	Missed             persona.Missed
	Was                persona.Dates // when the page was shown
}

func newDatesForm(d persona.Dates, now time.Time) datesForm {
	return datesForm{typedDate(d.Expires, now), typedDate(d.Recertify, now), d.Missed, d}
}

// Shown is Was in a field of the form.
func (f datesForm) Shown() string {
	text, _ := json.Marshal(f.Was) // times and a text always encode
	return string(text)
}

// typedDate is what persona.ParseDate reads as the date. One that has come has to be thought of anew.
func typedDate(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case !t.After(now):
		return ""
	case t.Equal(t.Truncate(24 * time.Hour)):
		return t.UTC().Format(time.DateOnly)
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// readDates returns the dates that the page showed, too. A form without them has seen none.
func (s *site) readDates(form url.Values) (d, was persona.Dates, err error) {
	if shown := form.Get("was"); shown != "" && json.Unmarshal([]byte(shown), &was) != nil {
		return d, was, errForm
	}
	if d.Expires, err = persona.ParseDate(form.Get("expires"), s.Now()); err != nil {
		return d, was, err
	}
	d.Recertify, err = persona.ParseDate(form.Get("recertify"), s.Now())
	d.Missed = persona.Missed(form.Get("missed"))
	return d, was, err
}

// postTerm sets the dates of what is live. What was typed is on the page again when it does not do.
func (s *site) postTerm(c echo.Context, by identity.Principal) error {
	if err := mayNarrow(by); err != nil {
		return err
	}
	form := c.Request().PostForm
	revision, _ := strconv.Atoi(form.Get("revision")) // what is no number is revision 0, which there never is
	dates, was, err := s.readDates(form)
	if err == nil {
		err = s.Registry.SetTerm(c.Request().Context(), by, persona.ID(c.Param("id")), persona.Shown{Revision: revision, Dates: was}, dates)
	}
	if err == nil {
		return redirect(c, "/personas/"+c.Param("id")+"/live", "dated")
	}
	return s.liveAgain(c, by, err, func(page *livePage) {
		page.Dates = datesForm{form.Get("expires"), form.Get("recertify"), persona.Missed(form.Get("missed")), page.Term.Dates}
	})
}
