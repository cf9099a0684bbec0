package main

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// inputs are the values of a page's form as a browser sends them without any button.
func inputs(page, action string) url.Values {
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return nil
	}
	form, id := url.Values{}, ""
	for n := range doc.Descendants() {
		if n.Data == "form" && attribute(n, "method") == "post" && attribute(n, "action") == action {
			id = cmp.Or(attribute(n, "id"), "-")
			for in := range n.Descendants() {
				fill(form, in)
			}
		}
	}
	for n := range doc.Descendants() {
		if id != "" && attribute(n, "form") == id {
			fill(form, n)
		}
	}
	return form
}

func fill(form url.Values, n *html.Node) {
	name := attribute(n, "name")
	kind := attribute(n, "type")
	switch {
	case n.Type != html.ElementNode || name == "" || n.Data == "button" || kind == "submit":
	case n.Data == "textarea":
		form.Add(name, strings.TrimPrefix(text(n, ""), "\n"))
	case n.Data == "input" && (kind != "checkbox" && kind != "radio" || slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "checked" })):
		form.Add(name, attribute(n, "value"))
	case n.Data == "select":
		for o := range n.Descendants() {
			if o.Data == "option" && slices.ContainsFunc(o.Attr, func(a html.Attribute) bool { return a.Key == "selected" }) {
				form.Add(name, attribute(o, "value"))
			}
		}
	}
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node, between string) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data + between)
		}
	}
	return b.String()
}

// words is what a page says, without its tags, in one line.
func words(page string) string {
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return page
	}
	for n := range doc.Descendants() {
		if n.Data == "main" {
			return strings.Join(strings.Fields(text(n, " ")), " ")
		}
	}
	return page
}
