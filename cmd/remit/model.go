package main

import (
	"fmt"
	"strconv"

	"remit/composer"
	"remit/internal/config"
	"remit/internal/llm"
)

// model is the language model that improves drafts; nil when none is configured.
func (a *app) model() (composer.Model, error) {
	if a.opts.Model.URL == "" {
		return nil, nil
	}
	return chat(a.opts.Model)
}

// chat is the endpoint that the settings name.
func chat(m config.Model) (*llm.Chat, error) {
	key, err := config.Expand(m.Key)
	if err != nil {
		return nil, fmt.Errorf("model.key: %w", err)
	}
	transport, err := llm.Transport(m.Proxy, m.CA)
	if err != nil {
		return nil, err
	}
	tasks := map[string]llm.Task{}
	for name, t := range map[string]config.ModelTask{"needs": m.Needs, "choose": m.Choose, "critique": m.Critique} {
		task := llm.Task{Model: t.Name, MaxTokens: t.MaxTokens}
		if t.Temperature != "" {
			n, err := strconv.ParseFloat(t.Temperature, 64)
			if err != nil {
				return nil, fmt.Errorf("model.%s.temperature is %q: write a number", name, t.Temperature)
			}
			task.Temperature = &n
		}
		tasks[name] = task
	}
	return llm.NewChat(llm.ChatConfig{URL: m.URL, Model: m.Name, Key: key, Transport: transport, Temperature: m.Temperature, MaxTokens: m.MaxTokens,
		Tasks: tasks, Timeout: m.Wait, PerMinute: m.RequestsPerMinute, PricePrompt: m.PriceIn, PriceCompletion: m.PriceOut})
}

// composer drafts over a catalog, with the language model if one is configured.
func (a *app) composer(finder composer.Finder) (*composer.Composer, error) {
	m, err := a.model()
	return composer.New(composer.Config{Finder: finder, MaxTools: a.opts.MaxTools, Model: m, ModelTime: a.opts.Model.Wait}), err
}
