package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// window is hours, compiled.
type window struct {
	days     [7]bool // by time.Weekday
	from, to int     // minutes of the day
	zone     *time.Location
	text     string
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (h Hours) compile() (window, error) {
	w := window{}
	var err error
	if w.zone, err = time.LoadLocation(h.Zone); err != nil || h.Zone == "Local" {
		return w, fmt.Errorf("there is no time zone %q; use a name such as Europe/Berlin", h.Zone)
	}
	if w.from, err = minutes(h.From); err != nil {
		return w, err
	}
	if w.to, err = minutes(h.To); err != nil {
		return w, err
	}
	if w.from == w.to {
		return w, fmt.Errorf("from %s to %s is no time at all", h.From, h.To)
	}
	for _, d := range h.Days {
		i := slices.Index(dayNames, strings.ToLower(d))
		if i < 0 {
			return w, fmt.Errorf("a day is one of mon, tue, wed, thu, fri, sat, sun, not %q", d)
		}
		w.days[i] = true
	}
	if len(h.Days) == 0 {
		w.days = [7]bool{true, true, true, true, true, true, true}
	}
	w.text = "from " + h.From + " to " + h.To + " " + w.zone.String()
	if len(h.Days) > 0 {
		w.text = strings.Join(h.Days, ", ") + " " + w.text
	}
	return w, nil
}

func minutes(clock string) (int, error) {
	t, err := time.Parse("15:04", clock)
	if err != nil {
		if clock == "24:00" {
			return 24 * 60, nil
		}
		return 0, fmt.Errorf("a time of day is written as 08:00, not %q", clock)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// holds says that the time is in the window. One that goes past midnight belongs to the day on which it begins.
func (w window) holds(now time.Time) bool {
	now = now.In(w.zone)
	minute, today := now.Hour()*60+now.Minute(), now.Weekday()
	if w.from < w.to {
		return w.days[today] && minute >= w.from && minute < w.to
	}
	return w.days[today] && minute >= w.from || w.days[(today+6)%7] && minute < w.to
}

func (c *Compiled) open(now time.Time) bool {
	return len(c.hours) == 0 || slices.ContainsFunc(c.hours, func(w window) bool { return w.holds(now) })
}

// when says the hours in words.
func (c *Compiled) when() string {
	var texts []string
	for _, w := range c.hours {
		texts = append(texts, w.text)
	}
	return strings.Join(texts, ", or ")
}
