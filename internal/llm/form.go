package llm

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/sashabaranov/go-openai"

	"remit/composer"
)

// form is how an endpoint is told what an answer has to look like, best first.
type form int

const (
	bySchema form = iota // json_schema, strict: nothing else can come
	byJSON               // json_object: some JSON; the schema stands in our instructions
	inWords              // neither
)

// apply puts the form into a request. The schema is ours, its closed lists are ids that we gave.
func (f form) apply(req *openai.ChatCompletionRequest, q composer.Question) error {
	switch f {
	case bySchema:
		req.ResponseFormat = &openai.ChatCompletionResponseFormat{Type: openai.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: &openai.ChatCompletionResponseFormatJSONSchema{Name: q.Task, Schema: q.Schema, Strict: true}}
		return nil
	case byJSON:
		req.ResponseFormat = &openai.ChatCompletionResponseFormat{Type: openai.ChatCompletionResponseFormatTypeJSONObject}
	}
	req.Messages = slices.Clone(req.Messages)
	req.Messages[0].Content += "\nThe JSON Schema of the answer:\n" + string(q.Schema) + "\n"
	return nil
}

// way is how a model is asked, as far as it was found out.
func (c *Chat) way(model string) (form, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.forms[model], c.newer[model]
}

// forget goes back to the best form: none was taken.
func (c *Chat) forget(model string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forms[model] == inWords {
		delete(c.forms, model)
	}
}

// otherWay says that a refused request should be sent in another way, which is tried from now on.
func (c *Chat) otherWay(model string, f form, newer bool, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !newer && wantsNewer(err) {
		c.newer[model] = true
		return true
	}
	if f < inWords && refusesForm(err) {
		c.forms[model] = max(c.forms[model], f+1)
		return true
	}
	return false
}

// wantsNewer says that a model takes max_completion_tokens instead of max_tokens, and no temperature. go-openai knows some by
// name and sends nothing.
func wantsNewer(err error) bool {
	for _, known := range []error{openai.ErrReasoningModelMaxTokensDeprecated, openai.ErrReasoningModelLimitationsOther, openai.ErrReasoningSamplingUnsupported} {
		if errors.Is(err, known) {
			return true
		}
	}
	var status *statusError
	return errors.As(err, &status) && status.status == http.StatusBadRequest &&
		(strings.Contains(status.message, "max_completion_tokens") || strings.Contains(status.message, "temperature"))
}

// refusesForm says that a request was refused as such. Which part of it is not said in a form that all endpoints share, so
// the next form is tried.
func refusesForm(err error) bool {
	var status *statusError
	return errors.As(err, &status) && slices.Contains([]int{http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusNotImplemented}, status.status)
}
