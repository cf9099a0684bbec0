package fakeopenai

import (
	"encoding/json"
	"net/http"
	"strings"
)

// chat answers a chat completion. Tokens are counted as words.
func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	in, fault, err := s.read(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	refuse := func(what string) {
		http.Error(w, `{"error":{"message":"`+what+` is not supported"}}`, http.StatusBadRequest)
	}
	form := in.ResponseFormat.Type
	switch {
	case s.refuse(w, r, fault):
		return
	case fault == NoSchema && form == "json_schema" || fault == NoForm && form != "":
		refuse("response_format " + form)
		return
	case fault == NewerLimit && in.MaxTokens > 0:
		refuse("max_tokens, use max_completion_tokens:")
		return
	}
	text, reason, refusal, prompt := "{}", "stop", "", 0
	for _, m := range in.Messages {
		prompt += len(strings.Fields(m.Content))
	}
	if s.Answer != nil {
		text = s.Answer(in)
	}
	switch fault {
	case Refusal:
		text, refusal = "", "I cannot help with that"
	case CutLength:
		text, reason = text[:len(text)/2], "length"
	case BadJSON:
		text = "Sure! Here are your tools: " + text[:len(text)/2]
	}
	choices := []any{map[string]any{"index": 0, "finish_reason": reason, "message": map[string]any{"role": "assistant", "content": text, "refusal": refusal}}}
	if fault == NoChoices {
		choices = nil
	}
	body, err := json.Marshal(map[string]any{"object": "chat.completion", "model": in.Model, "choices": choices,
		"usage": map[string]int{"prompt_tokens": prompt, "completion_tokens": len(strings.Fields(text)), "total_tokens": prompt}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if fault == CutBody {
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}
