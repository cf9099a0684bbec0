package demo

import "fmt"

func billing() []tool {
	t := &table{noun: "invoice", prefix: "inv", rows: []record{
		{"id": "inv-1001", "customer_id": "cus-1001", "date": "2026-10-01", "amount": 49.0, "currency": "EUR", "status": "paid"},
		{"id": "inv-1002", "customer_id": "cus-1001", "date": "2026-10-02", "amount": 49.0, "currency": "EUR", "status": "paid"},
		{"id": "inv-1003", "customer_id": "cus-1002", "date": "2026-10-05", "amount": 12.0, "currency": "EUR", "status": "overdue"},
		{"id": "inv-1004", "customer_id": "cus-1003", "date": "2026-10-07", "amount": 900.0, "currency": "EUR", "status": "paid"},
	}}
	id := `"invoice_id":` + fmt.Sprintf(text, "Id of the invoice, for example inv-1001")
	change := func(to string) func(record) (any, error) {
		return func(a record) (any, error) {
			r, err := t.get(a["invoice_id"])
			if err != nil {
				return nil, err
			}
			r["status"] = to
			return r.set(a, "reason"), nil
		}
	}
	return []tool{
		{name: "list_invoices", title: "List invoices", description: "List invoices of a customer, or all, optionally only those in one state.",
			schema: `{"customer_id":` + fmt.Sprintf(text, "Only invoices of this customer") + `,"status":` + fmt.Sprintf(choice, `"draft","paid","overdue","refunded","void"`, "Only invoices in this state") + `}`,
			hints:  hints{readOnly: true},
			run:    func(a record) (any, error) { return t.where(a, "customer_id", "status"), nil }},
		{name: "get_invoice", title: "Get invoice", description: "Get one invoice with its amount, date and payment state.",
			schema: `{` + id + `}`, required: []string{"invoice_id"}, hints: hints{readOnly: true},
			run: func(a record) (any, error) { return t.get(a["invoice_id"]) }},
		{name: "create_invoice", title: "Create invoice", description: "Create a draft invoice for a customer.",
			schema:   `{"customer_id":` + fmt.Sprintf(text, "Whom to bill") + `,"amount":{"type":"number","minimum":0,"description":"Amount in EUR"}}`,
			required: []string{"customer_id", "amount"},
			run: func(a record) (any, error) {
				return t.add(record{"status": "draft", "currency": "EUR"}.set(a, "customer_id", "amount")), nil
			}},
		{name: "update_invoice", title: "Update invoice", description: "Change the amount of an invoice.",
			schema:   `{` + id + `,"amount":{"type":"number","minimum":0,"description":"New amount in EUR"}}`,
			required: []string{"invoice_id", "amount"},
			run: func(a record) (any, error) {
				r, err := t.get(a["invoice_id"])
				return r.set(a, "amount"), err
			}},
		{name: "void_invoice", title: "Void invoice", description: "Cancel an invoice so that it no longer counts.",
			schema: `{` + id + `}`, required: []string{"invoice_id"}, hints: hints{destructive: true}, run: change("void")},
		// Wrong on purpose, as on real servers: a refund that claims to be harmless.
		{name: "refund_payment", title: "Refund payment", description: "Pay the whole amount of a paid invoice back to the customer.",
			schema: `{` + id + `,"reason":` + fmt.Sprintf(text, "Why") + `}`, required: []string{"invoice_id"}, hints: hints{readOnly: true}, run: change("refunded")},
	}
}

func calendar() []tool {
	t := &table{noun: "event", prefix: "evt", rows: []record{
		{"id": "evt-1001", "title": "Stand-up", "day": "2026-12-01", "from": "09:00", "attendee": "team"},
		{"id": "evt-1002", "title": "Renewal call", "day": "2026-12-01", "from": "14:00", "attendee": "aiko@hoshilabs.example"},
	}}
	day := `"day":{"type":"string","pattern":"^[0-9]{4}-[0-9]{2}-[0-9]{2}$","description":"Day as YYYY-MM-DD"}`
	id := `"event_id":` + fmt.Sprintf(text, "Id of the event, for example evt-1001")
	return []tool{
		{name: "list_events", title: "List events", description: "List the calendar's events of a day.",
			schema: `{` + day + `}`, required: []string{"day"}, hints: hints{readOnly: true},
			run: func(a record) (any, error) { return t.where(a, "day"), nil }},
		{name: "find_free_slots", title: "Find free slots", description: "Find free hours for a call on a day, between 09:00 and 17:00.",
			schema: `{` + day + `}`, required: []string{"day"}, hints: hints{readOnly: true},
			run: func(a record) (any, error) {
				free := []string{}
				for hour := 9; hour < 17; hour++ {
					if at := fmt.Sprintf("%02d:00", hour); len(t.where(record{"day": a["day"], "from": at}, "day", "from")) == 0 {
						free = append(free, at)
					}
				}
				return free, nil
			}},
		{name: "create_event", title: "Book event", description: "Book a call or meeting in the calendar and invite the attendee.",
			schema:   `{` + day + `,"title":` + fmt.Sprintf(text, "Title") + `,"from":` + fmt.Sprintf(text, "Start as HH:MM") + `,"attendee":` + fmt.Sprintf(text, "E-mail address to invite") + `}`,
			required: []string{"day", "title", "from"}, hints: hints{openWorld: true},
			run: func(a record) (any, error) { return t.add(record{}.set(a, "day", "title", "from", "attendee")), nil }},
		{name: "move_event", title: "Move event", description: "Move an event to another day or time.",
			schema: `{` + id + `,` + day + `,"from":` + fmt.Sprintf(text, "New start as HH:MM") + `}`, required: []string{"event_id"},
			run: func(a record) (any, error) {
				r, err := t.get(a["event_id"])
				return r.set(a, "day", "from"), err
			}},
		{name: "cancel_event", title: "Cancel event", description: "Cancel an event and tell its attendees.",
			schema: `{` + id + `}`, required: []string{"event_id"}, hints: hints{destructive: true, openWorld: true},
			run: func(a record) (any, error) { return record{"cancelled": a["event_id"]}, t.drop(a["event_id"]) }},
	}
}

func chat() []tool {
	t := &table{noun: "message", prefix: "msg", rows: []record{
		{"id": "msg-1001", "channel": "support", "author": "lea", "text": "Two tickets came in overnight."},
		{"id": "msg-1002", "channel": "general", "author": "sam", "text": "Lunch at noon?"},
	}}
	channel := `"channel":` + fmt.Sprintf(choice, `"support","general","announcements"`, "Channel of the team chat")
	return []tool{
		{name: "list_channels", title: "List channels", description: "List the channels of the team chat.", schema: `{}`, hints: hints{readOnly: true},
			run: func(record) (any, error) { return []string{"support", "general", "announcements"}, nil }},
		{name: "read_channel", title: "Read channel", description: "Read the messages of a channel of the team chat.",
			schema: `{` + channel + `}`, required: []string{"channel"}, hints: hints{readOnly: true},
			run: func(a record) (any, error) { return t.where(a, "channel"), nil }},
		{name: "post_message", title: "Post message", description: "Post a message in a channel of the team chat.",
			schema: `{` + channel + `,"text":` + fmt.Sprintf(text, "Text of the message") + `}`, required: []string{"channel", "text"}, hints: hints{openWorld: true},
			run: func(a record) (any, error) { return t.add(record{"author": "agent"}.set(a, "channel", "text")), nil }},
		{name: "delete_message", title: "Delete message", description: "Delete a message from the team chat.",
			schema: `{"message_id":` + fmt.Sprintf(text, "Id of the message") + `}`, required: []string{"message_id"}, hints: hints{destructive: true},
			run: func(a record) (any, error) { return record{"deleted": a["message_id"]}, t.drop(a["message_id"]) }},
	}
}
